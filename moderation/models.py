"""Reports by users, the cases that they make, redactions under way, and broken glass."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from common.ids import new_id
from messaging.models import Chat

USER = settings.AUTH_USER_MODEL


class Kind(models.TextChoices):
    """What is reported."""

    MESSAGE = "message"
    USER = "user"


class Reason(models.TextChoices):
    """Why."""

    SPAM = "spam"
    HARASSMENT = "harassment"
    VIOLENCE = "violence"
    ILLEGAL = "illegal"
    OTHER = "other"


class State(models.TextChoices):
    """How far a case is."""

    OPEN = "open"
    IN_PROGRESS = "in_progress", "in progress"
    RESOLVED = "resolved"
    DISMISSED = "dismissed"


LIVE = (State.OPEN, State.IN_PROGRESS)


class Measure(models.TextChoices):
    """What a moderator may do about a case."""

    REDACT = "redact", "Redact the message"
    BAN = "ban", "Ban the user"
    REMOVE = "remove", "Remove the user from the group"
    FREEZE = "freeze", "Freeze the group"


DONE = {
    Measure.REDACT: "message redacted",
    Measure.BAN: "user banned",
    Measure.REMOVE: "user removed from the group",
    Measure.FREEZE: "group frozen",
}


class Case(models.Model):
    """All reports of one message, or of one user, until somebody has decided."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=7, choices=Kind)
    user = models.ForeignKey(
        USER, models.PROTECT, related_name="+", db_index=False, help_text="Who is reported."
    )
    chat = models.ForeignKey(
        Chat, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    seq = models.BigIntegerField(null=True, blank=True)
    text = models.TextField(
        blank=True, default="", help_text="The message as it was when it was first reported."
    )
    sent_at = models.DateTimeField(null=True, blank=True)
    text_until = models.DateTimeField(
        null=True, blank=True, help_text="When that text goes; null while the case is live."
    )
    state = models.CharField(max_length=11, choices=State, default=State.OPEN)
    report_count = models.IntegerField(default=0)
    opened_at = models.DateTimeField(db_default=Now())
    reported_at = models.DateTimeField(default=timezone.now, help_text="When last.")
    assignee = models.ForeignKey(
        USER, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    measures = models.JSONField(
        default=list, blank=True, help_text="What was done about it, in the order of the page."
    )
    resolution = models.TextField(blank=True, default="", help_text="Why it ended as it did.")
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(
        USER, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )

    class Meta:
        # What the admin calls it: a moderator handles reports.
        verbose_name = "report"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kind=Kind.MESSAGE, chat__isnull=False, seq__isnull=False)
                | Q(kind=Kind.USER, chat=None, seq=None),
                name="a_case_is_of_a_message_or_a_user",
            ),
            models.CheckConstraint(
                condition=Q(state__in=LIVE, closed_at=None)
                | Q(closed_at__isnull=False) & ~Q(state__in=LIVE),
                name="a_case_ends_once",
            ),
            models.UniqueConstraint(
                fields=["chat", "seq"],
                condition=Q(kind=Kind.MESSAGE, state__in=LIVE),
                name="a_live_case_per_message",
            ),
            models.UniqueConstraint(
                fields=["user"],
                condition=Q(kind=Kind.USER, state__in=LIVE),
                name="a_live_case_per_user",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["-id"], name="cases_to_decide", condition=Q(state__in=LIVE)),
            models.Index(fields=["user", "-id"], name="cases_of_a_user"),
            models.Index(fields=["chat", "seq", "-id"], name="cases_of_a_message"),
            models.Index(fields=["assignee", "-id"], name="cases_of_a_moderator"),
            models.Index(fields=["state", "-id"], name="cases_by_state"),
            models.Index(
                fields=["text_until"],
                name="cases_to_forget",
                condition=Q(text_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"report of {self.user}"

    @property
    def live(self) -> bool:
        """Whether nobody has decided yet."""
        return self.state in LIVE


def done_about(case: Case) -> str:
    """Return what was done about a case, in words."""
    return ", ".join(DONE[Measure(one)] for one in case.measures) or "nothing"


class Report(models.Model):
    """What one user said about a message or a user. Moderators alone know who."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    case = models.ForeignKey(Case, models.PROTECT, related_name="reports", db_index=False)
    reporter = models.ForeignKey(USER, models.PROTECT, related_name="+", db_index=False)
    reason = models.CharField(max_length=10, choices=Reason)
    comment = models.TextField(null=True, blank=True)  # noqa: DJ001 null is "not given"
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["case", "reporter"], name="a_report_once_per_case"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["reporter", "-id"], name="reports_of_a_reporter"),
        ]

    def __str__(self) -> str:
        return f"{self.reason}, {self.created_at:%Y-%m-%d %H:%M}"


class Redaction(models.Model):
    """A message that a moderator has taken the text of, until no tier holds it any more."""

    chat = models.ForeignKey(Chat, models.PROTECT, related_name="+", db_index=False)
    seq = models.BigIntegerField()
    reason = models.TextField(blank=True, default="")
    asked_at = models.DateTimeField(db_default=Now())
    asked_by = models.ForeignKey(
        USER, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    done_at = models.DateTimeField(null=True, blank=True)
    note = models.TextField(blank=True, default="", help_text="What it waits for.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["chat", "seq"], name="a_redaction_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["id"], name="redactions_to_do", condition=Q(done_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.chat_id}/{self.seq}"


class BreakGlass(models.Model):
    """A moderator's leave to read one chat for a while, for a reason that stays."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    chat = models.ForeignKey(Chat, models.PROTECT, related_name="+")
    opened_by = models.ForeignKey(USER, models.PROTECT, related_name="+", db_index=False)
    reason = models.TextField()
    opened_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    pages_read = models.IntegerField(default=0)

    class Meta:
        verbose_name = "broken glass"
        verbose_name_plural = "broken glass"
        indexes: ClassVar = [models.Index(fields=["opened_by", "-id"], name="glass_of_a_moderator")]

    def __str__(self) -> str:
        return f"{self.chat_id} by {self.opened_by}"

    @property
    def open(self) -> bool:
        """Whether it still lets its opener read."""
        return self.closed_at is None and self.expires_at > timezone.now()
