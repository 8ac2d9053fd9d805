"""What cold storage holds: the index that scroll-back, trim, purge and verify go by.

The objects themselves are in the bucket. Nothing here is needed to restore from it.
"""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from common.ids import new_id
from messaging.models import Chat


class Watermark(models.Model):
    """How far a chat is in cold storage: every seq up to `archived_seq` is in a segment."""

    chat = models.OneToOneField(
        Chat, models.CASCADE, primary_key=True, related_name="+", db_constraint=False
    )
    archived_seq = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.chat_id} up to {self.archived_seq}"


class Segment(models.Model):
    """The messages of one chat sent in one hour: seqs without a gap, `first_seq` to `last_seq`.

    Its row is written after the objects of all who could see a message of it have been read back.
    """

    id = models.BigAutoField(primary_key=True)
    chat = models.ForeignKey(
        Chat, models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    hour = models.DateTimeField(help_text="The beginning of the hour, UTC.")
    first_seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    verified_at = models.DateTimeField(
        db_default=Now(),
        help_text="When all its objects were last read back and found right; 1970 where not.",
    )
    purged_at = models.DateTimeField(
        null=True,
        help_text="Set when its objects went at the end of retention while its messages are among "
        "the last of the chat, which the database keeps.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["chat", "hour"], name="a_segment_per_chat_and_hour"),
            models.UniqueConstraint(
                fields=["chat", "first_seq"],
                include=["last_seq"],
                name="a_segment_begins_once",
            ),
            models.CheckConstraint(
                condition=Q(last_seq__gte=F("first_seq")), name="a_segment_holds_something"
            ),
        ]
        indexes = [models.Index(fields=["hour"], name="segments_by_hour")]

    def __str__(self) -> str:
        return f"{self.chat_id} {self.hour:%Y-%m-%dT%H}"


class HourObject(models.Model):
    """One user's object of a segment, as it was read back. Its key follows from the three."""

    id = models.BigAutoField(primary_key=True)
    segment = models.ForeignKey(
        Segment, models.CASCADE, related_name="objects_of_users", db_index=False
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    first_seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    count = models.BigIntegerField()
    size = models.BigIntegerField(help_text="Bytes in the bucket.")
    sha256 = models.BinaryField(max_length=32, help_text="Of the plain bytes.")
    etag = models.CharField(max_length=128)
    generation = models.IntegerField(
        db_default=0,
        help_text="1 for its first writing, one more for each further one; 0 from before objects "
        "were signed.",
    )
    next_sha256 = models.BinaryField(
        max_length=32,
        null=True,
        help_text="What it is about to become, while a message is being erased from it.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["segment", "user"], name="an_object_per_user"),
        ]
        indexes = [
            # The few among the many, which a base names in full.
            models.Index(
                fields=["id"],
                name="objects_written_again",
                condition=models.Q(generation__gt=1),
            )
        ]

    def __str__(self) -> str:
        return f"object {self.pk}"


class ManifestShard(models.Model):
    """A sixteenth of all chats, by their ids' last digit: its newest manifest, and newest base."""

    shard = models.SmallIntegerField(primary_key=True)
    number = models.BigIntegerField(default=0)
    until = models.DateTimeField(null=True, help_text="Up to when the newest manifest tells.")
    written = models.BooleanField(
        default=True, help_text="Whether the newest manifest is in the bucket, not only settled."
    )
    base_at = models.DateTimeField(null=True)
    rebuild = models.BooleanField(
        default=True, help_text="Whether the next run is to count the index anew."
    )

    def __str__(self) -> str:
        return f"{self.shard:x} {self.number}"


class ManifestNote(models.Model):
    """What a manifest is to say of one hour of a chat, from the moment that it was recorded."""

    id = models.BigAutoField(primary_key=True)
    shard = models.SmallIntegerField()
    number = models.BigIntegerField(null=True, help_text="The manifest that says it.")
    hour = models.DateTimeField()
    count = models.IntegerField(help_text="By how many objects of the first generation it grew.")
    digest = models.BinaryField(max_length=32, help_text="By what those objects' digest grew.")
    named = models.JSONField(help_text="Objects in full: key, generation, SHA-256.")

    class Meta:
        indexes = [models.Index(fields=["shard", "number", "id"], name="notes_of_a_manifest")]

    def __str__(self) -> str:
        return f"{self.shard:x} {self.hour:%Y-%m-%dT%H}"


class ManifestHour(models.Model):
    """How many objects of the first generation a shard has of an hour, and their digest."""

    id = models.BigAutoField(primary_key=True)
    shard = models.SmallIntegerField()
    hour = models.DateTimeField()
    count = models.BigIntegerField()
    digest = models.BinaryField(max_length=32)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["shard", "hour"], name="a_total_per_shard_and_hour")
        ]

    def __str__(self) -> str:
        return f"{self.shard:x} {self.hour:%Y-%m-%dT%H}"


class ArchiveKey(models.Model):
    """A key of the ring that this database has seen: its id alone, and what was done about it."""

    key_id = models.CharField("key", max_length=8, primary_key=True)
    first_seen_at = models.DateTimeField(db_default=Now())
    confirmed_at = models.DateTimeField(
        "kept elsewhere since", null=True, help_text="When somebody said that a copy is elsewhere."
    )
    confirmed_by = models.CharField(max_length=160, blank=True, default="")
    signed_to = models.BigIntegerField(
        default=0, help_text="Up to which row of the index objects bear this key's signature."
    )
    all_signed_at = models.DateTimeField(
        null=True, help_text="Since when no object needs an older key."
    )

    class Meta:
        ordering = ["-first_seen_at"]

    def __str__(self) -> str:
        return self.key_id


class Erasure(models.Model):
    """A message whose text is to go; done when no tier has it any more."""

    chat = models.ForeignKey(
        Chat, models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    seq = models.BigIntegerField()
    asked_at = models.DateTimeField(db_default=Now())
    done_at = models.DateTimeField(null=True)
    unreached = models.TextField(
        db_default="",
        help_text="Keys of lost or damaged objects from which the text could not be taken.",
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["chat", "seq"], name="an_erasure_once")]
        indexes = [
            models.Index(fields=["id"], name="erasures_to_do", condition=Q(done_at__isnull=True))
        ]

    def __str__(self) -> str:
        return f"{self.chat_id}/{self.seq}"


class ErasedUser(models.Model):
    """A user whose archive was deleted, for whom no object is ever written again."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+"
    )
    asked_at = models.DateTimeField(db_default=Now())
    done_at = models.DateTimeField(null=True)
    unreached = models.TextField(
        db_default="",
        help_text="Keys of lost or damaged objects from which the text could not be taken.",
    )
    texts = models.BooleanField(
        db_default=False, help_text="Whether their texts go from other people's copies too."
    )

    def __str__(self) -> str:
        return str(self.user_id)


class BackupRun(models.Model):
    """One run of backup, and up to when everything sent was in cold storage after it."""

    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, help_text="Empty while it runs, or when killed.")
    until = models.DateTimeField(help_text="What was sent before then was taken.")
    messages = models.BigIntegerField(default=0)
    objects_written = models.BigIntegerField(default=0)
    failed = models.IntegerField(default=0, help_text="What was left for the next run.")
    missing = models.BigIntegerField(
        db_default=0, help_text="Objects that the index has and the bucket did not list."
    )

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M} until {self.until:%Y-%m-%d %H:%M}"


class RetentionRun(models.Model):
    """What one purge found due and did: the proof that retention is kept."""

    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, help_text="Empty while it runs, or when killed.")
    days = models.IntegerField(help_text="How long objects were kept at the time.")
    before = models.DateTimeField(help_text="Hours that had ended by then were due.")
    due = models.BigIntegerField(default=0, help_text="Objects.")
    deleted = models.BigIntegerField(default=0, help_text="Objects.")
    kept = models.BigIntegerField(default=0, help_text="Objects that the index still knows.")
    freed = models.BigIntegerField("bytes freed", default=0)
    oldest = models.DateTimeField("oldest hour remaining", null=True)
    failed = models.IntegerField(default=0, help_text="Chats that were left for the next run.")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M}: {self.deleted} of {self.due}"


class DrillRun(models.Model):
    """One proof that the newest backup can be restored, and what a loss then would have cost."""

    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, help_text="Empty while it runs, or when killed.")
    ok = models.BooleanField(default=False, help_text="Whether all that came back was right.")
    restored = models.BigIntegerField(default=0, help_text="Messages that came back.")
    differing = models.BigIntegerField(default=0, help_text="Messages that came back otherwise.")
    lost = models.BigIntegerField(default=0, help_text="Messages that would not have come back.")
    missing = models.BigIntegerField(
        db_default=0, help_text="Messages that only cold storage should have, and has not."
    )
    lost_seconds = models.FloatField(default=0, help_text="How long ago the oldest of them is.")
    detail = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M}: {'passed' if self.ok else 'failed'}"


class Job(models.Model):
    """A run that was started from the admin, from the click to its end; see `archive/jobs.py`.

    `seen_at` is set every few seconds by whoever is at work on it: one that falls silent is gone.
    """

    class Kind(models.TextChoices):
        """What is run."""

        BACKUP = "backup", "Back up"
        VERIFY = "verify", "Check everything"
        SAMPLE = "sample", "Check a sample"
        REPAIR = "repair", "Check and repair"
        TRIM = "trim", "Trim"
        PURGE = "purge", "Purge"
        DRILL = "drill", "Restore drill"

    class State(models.TextChoices):
        """How far it is."""

        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    LIVE = (State.WAITING, State.RUNNING)

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=6, choices=Kind)
    state = models.CharField(max_length=7, choices=State, default=State.WAITING)
    asked_by = models.CharField("started by", max_length=160, blank=True, default="")
    asked_at = models.DateTimeField("started", db_default=Now())
    seen_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField("ended", null=True)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True)
    sentence = models.TextField("result", blank=True, default="")

    class Meta:
        verbose_name = "run"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind"],
                condition=Q(state__in=["waiting", "running"]),
                name="a_live_job_per_kind",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.asked_at:%Y-%m-%d %H:%M}"

    @property
    def live(self) -> bool:
        """Whether it is not at its end."""
        return self.state in self.LIVE


class Export(models.Model):
    """A ZIP of all that a user may see and is, made once they ask, kept for a day.

    Its object lies below the user's own prefix, so that who deletes that deletes it too. A user has
    at most one that is not at its end.
    """

    class State(models.TextChoices):
        """How far it is."""

        WAITING = "waiting"
        RUNNING = "running"
        READY = "ready"
        FAILED = "failed"
        WITHDRAWN = "withdrawn"

    LIVE = (State.WAITING, State.RUNNING, State.READY)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    attempt = models.IntegerField(
        default=0, help_text="How often it was begun; whoever began it last is at work on it."
    )
    asked_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(
        db_default=Now(), help_text="When whoever is at work on it last said so."
    )
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    messages = models.BigIntegerField(default=0, help_text="Messages in it so far.")
    total = models.BigIntegerField(default=0, help_text="Messages that it will hold.")
    size = models.BigIntegerField(null=True, help_text="Bytes.")
    sha256 = models.BinaryField(max_length=32, null=True)
    detail = models.TextField(blank=True, default="", help_text="Why it failed.")

    class Meta:
        ordering = ["-asked_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["user"],
                condition=Q(state__in=["waiting", "running", "ready"]),
                name="a_live_export_per_user",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk}: {self.state}"
