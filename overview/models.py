"""Figures for the dashboard: small tables that beat fills, so that no page counts anything."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class Name(models.TextChoices):
    """What is noted; how each is counted stands in docs/admin.md."""

    MESSAGES = "messages", "Messages"
    WRITERS = "writers", "People writing"
    FROM_CACHE = "cache", "From the cache"
    FROM_DATABASE = "database", "From the database"
    FROM_ARCHIVE = "archive", "From cold storage"
    BACKUP_LAG = "backup_lag", "Seconds that backup is behind"
    QUEUE = "queue", "Tasks that wait"
    REPORTS = "reports", "Open reports"


class Figure(models.Model):
    """A number of one stretch of time: an hour or ten minutes, by its name."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=16, choices=Name)
    at = models.DateTimeField(help_text="The beginning of the stretch.")
    value = models.FloatField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["name", "at"], include=["value"], name="a_figure_per_stretch"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%Y-%m-%d %H:%M}: {self.value:g}"


class Writer(models.Model):
    """Somebody who wrote in an hour, kept while that hour is being counted."""

    id = models.BigAutoField(primary_key=True)
    hour = models.DateTimeField()
    user_id = models.UUIDField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["hour", "user_id"], name="a_writer_once_an_hour"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.hour:%Y-%m-%d %H}:00"


class Progress(models.Model):
    """The one row of how far counting has got. Its lock keeps two runs from counting twice."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    message_id = models.BigIntegerField(null=True, help_text="Counted up to it.")
    counted_at = models.DateTimeField(db_default=Now())
    served = models.JSONField(
        default=dict, help_text="The web workers' counts by tier, as last seen."
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(id=1), name="one_progress")
        ]

    def __str__(self) -> str:
        return f"messages up to {self.message_id}"
