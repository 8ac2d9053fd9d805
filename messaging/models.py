"""The log's tables: chats, who was in them from which seq to which, and the messages."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from common.ids import new_id

NAME_MAX_CHARS = 128
CLIENT_ID_MAX_CHARS = 64


class NextChatNumber(models.Func):
    """The next number of a chat, from a sequence of its own."""

    template = "nextval('messaging_chat_number')"
    output_field = models.BigIntegerField()


class Chat(models.Model):
    """A conversation. Its row's lock orders everything that happens in it.

    `last_seq` and `last_at` change with every message and are in no index, so that the update
    stays in its page (HOT); recent chats are found through the messages or the members.
    """

    class Kind(models.TextChoices):
        """What a chat is."""

        PRIVATE = "private"
        GROUP = "group"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    number = models.BigIntegerField(
        unique=True,
        editable=False,
        db_default=NextChatNumber(),
        help_text="A short name for the chat inside cursors and cache keys.",
    )
    kind = models.CharField(max_length=7, choices=Kind)
    name = models.CharField(max_length=NAME_MAX_CHARS, blank=True, default="")
    low = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    high = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    member_count = models.IntegerField(db_default=0)
    wide_from = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="The seq from which there are too many members to tell each of a message: "
        "since then their polls ask the chat. Null for a chat that has never had so many.",
    )
    start_seq = models.BigIntegerField(
        db_default=1, help_text="The smallest seq that any tier holds."
    )
    db_seq = models.BigIntegerField(
        db_default=1,
        help_text="The first seq still in the database: all from it on are there, none below.",
    )
    last_seq = models.BigIntegerField(db_default=0)
    last_at = models.DateTimeField(db_default=Now())
    frozen_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Since when a moderator's decision lets nobody write or change who is in the "
        "group; null for a group that goes on.",
    )
    frozen_reason = models.TextField(blank=True, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["low", "high"], condition=Q(kind="private"), name="one_chat_per_pair"
            ),
            models.CheckConstraint(
                condition=Q(kind="group", low=None, high=None)
                | Q(kind="private", low__lt=F("high")),
                name="a_private_chat_has_two_users",
            ),
        ]
        # For the moderators, who look for groups among many private chats.
        indexes = [
            models.Index(fields=["-id"], name="groups_newest_first", condition=Q(kind="group")),
            models.Index(fields=["name"], name="groups_by_name", condition=Q(kind="group")),
        ]

    def __str__(self) -> str:
        return self.name or f"{self.kind} {self.id}"

    @property
    def wide(self) -> bool:
        """Whether members' polls ask the chat, instead of each being told."""
        return self.wide_from is not None


class Membership(models.Model):
    """A stretch of one user's membership: the seqs of a chat that they may see.

    Open while `last_seq` is null. Who leaves and comes back has two rows and sees both stretches.
    """

    class Role(models.TextChoices):
        """What a member may do."""

        OWNER = "owner"
        ADMIN = "admin"
        MEMBER = "member"

    chat = models.ForeignKey(Chat, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, db_index=False, related_name="memberships"
    )
    role = models.CharField(max_length=6, choices=Role, default=Role.MEMBER)
    first_seq = models.BigIntegerField(help_text="The seq at which the user joined.")
    last_seq = models.BigIntegerField(
        null=True, blank=True, help_text="The seq that removed the user; null for a member."
    )
    joined_at = models.DateTimeField()
    left_at = models.DateTimeField(null=True, blank=True)
    left_owner_id = models.UUIDField(
        null=True,
        blank=True,
        editable=False,
        help_text="Who owned the group when this stretch ended, which is all that its user sees.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["chat", "user"],
                condition=Q(last_seq=None),
                include=["first_seq"],
                name="a_member_once",
            ),
            models.UniqueConstraint(
                fields=["chat"],
                condition=Q(last_seq=None, role="owner"),
                name="one_owner_per_chat",
            ),
            models.CheckConstraint(
                condition=Q(last_seq=None, left_at=None)
                | Q(last_seq__gte=F("first_seq"), left_at__isnull=False),
                name="a_stretch_ends_after_it_begins",
            ),
        ]
        indexes = [models.Index(fields=["user", "chat"], name="memberships_of_a_user")]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.chat_id} from {self.first_seq}"


class Message(models.Model):
    """One entry of a chat's log. Written by `messaging_append` alone, never changed but by erase.

    No foreign keys in the database: the append holds the chat's row and has just read the
    sender's membership, and a check of each again would cost a send a tenth of its time.
    """

    class Kind(models.TextChoices):
        """What an entry is."""

        TEXT = "text"
        SYSTEM = "system"
        REMOVED = "removed"

    id = models.BigAutoField(primary_key=True)
    chat = models.ForeignKey(
        Chat, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="messages"
    )
    seq = models.BigIntegerField()
    sender = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    subject = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
        help_text="The user whose membership this system message begins, ends or changes.",
    )
    kind = models.CharField(max_length=7, choices=Kind)
    text = models.TextField()
    sent_at = models.DateTimeField()
    client_id = models.CharField(max_length=CLIENT_ID_MAX_CHARS, null=True)  # noqa: DJ001 null is "not given"

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["chat", "seq"], name="a_seq_once_per_chat"),
            models.UniqueConstraint(
                fields=["chat", "sender", "client_id"],
                condition=Q(client_id__isnull=False),
                name="a_client_id_once_per_sender",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.chat_id}/{self.seq}"


class TrimmedSend(models.Model):
    """What a client_id stood for, kept for as long as a tier keeps its message.

    Written when the message leaves the database, or its text alone does; `messaging_send` looks
    here for a client_id whose text the messages do not have. See messaging/kept_sends.py.
    """

    id = models.BigAutoField(primary_key=True)
    chat = models.ForeignKey(
        Chat, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    seq = models.BigIntegerField()
    sender = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    client_id = models.CharField(max_length=CLIENT_ID_MAX_CHARS)
    sent_at = models.DateTimeField()
    digest = models.BinaryField(
        null=True, help_text="What tells its text from another; null where that is not known."
    )
    key_id = models.CharField(
        max_length=8,
        db_default="",
        default="",
        help_text="The archive key's whose HMAC the digest is; empty: a plain SHA-256.",
    )
    removed = models.BooleanField(
        db_default=False, default=False, help_text="Whether the text is gone from all tiers."
    )

    class Meta:
        indexes = [
            models.Index(
                fields=["id"],
                condition=Q(key_id="", digest__isnull=False),
                name="a_digest_without_a_key",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["chat", "sender", "client_id"], name="a_trimmed_client_id_once"
            ),
            models.UniqueConstraint(fields=["chat", "seq"], name="a_trimmed_seq_once"),
        ]

    def __str__(self) -> str:
        return f"{self.chat_id}/{self.seq}"


class DatabaseMark(models.Model):
    """The one row that says how far this database's history has got.

    It grows by one at most every ten seconds, by the first sweeper to do it. No request reads it:
    a row that every send reads and that is written so often would slow each send down.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    number = models.BigIntegerField(db_default=0)
    grown_at = models.DateTimeField(db_default=Now())
    looks = models.JSONField(
        default=list,
        help_text="What the sweepers saw of late, see messaging/looks.py: [µs, largest message id, "
        "next transaction id] each.",
    )

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_database_mark")]

    def __str__(self) -> str:
        return f"mark {self.number}"


class DatabaseReset(models.Model):
    """One time that the database was found to have gone back, and everybody began anew."""

    class Cause(models.TextChoices):
        """How it showed."""

        MARK = "mark", "its mark is behind"
        EPOCH = "epoch", "its epoch is behind"
        COMMITS = "commits", "another database, which lacks messages that the cache was told of"
        UNPROVEN = "unproven", "another database, and nothing shows that it lacks nothing"

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(db_default=Now(), editable=False)
    cause = models.CharField(max_length=8, choices=Cause)
    number = models.BigIntegerField(help_text="The mark that the database had.")
    seen = models.BigIntegerField(help_text="The furthest mark that had been seen.")
    epoch = models.IntegerField(help_text="The epoch from then on.")
    known_until = models.DateTimeField(
        null=True,
        help_text="When its mark last grew: what was sent after that may be lost.",
    )

    class Meta:
        verbose_name = "return to an older state"
        verbose_name_plural = "returns to an older state"

    def __str__(self) -> str:
        return f"mark {self.number} after {self.seen}"


class LogState(models.Model):
    """The one row of what is true of all logs together.

    `epoch` is raised by a restore. `floor` is the latest `sent_at` that the sweeper has seen: no
    message is dated before it, so that a server clock set back can't hide messages from cursors.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    epoch = models.IntegerField(db_default=1)
    floor = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_log_state")]

    def __str__(self) -> str:
        return f"epoch {self.epoch}"

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refuse: without its row no message can be sent."""
        raise TypeError("the log's state is never deleted")
