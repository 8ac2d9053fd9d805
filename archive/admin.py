"""The moderators' pages of what the archive's runs did: to look, not to touch."""

from django.contrib import admin

from archive.models import BackupRun, DrillRun, RetentionRun
from common.admin import ReadOnlyModelAdmin


@admin.register(BackupRun)
class BackupRunAdmin(ReadOnlyModelAdmin):
    """Each backup, and up to when everything was in cold storage after it."""

    list_display = (
        "started_at", "finished_at", "until", "messages", "objects_written", "failed",
    )  # fmt: skip


@admin.register(RetentionRun)
class RetentionRunAdmin(ReadOnlyModelAdmin):
    """Each purge: what was due, went and stayed."""

    list_display = (
        "started_at", "finished_at", "days", "due", "deleted", "kept", "freed", "oldest", "failed",
    )  # fmt: skip


@admin.register(DrillRun)
class DrillRunAdmin(ReadOnlyModelAdmin):
    """Each drill: whether the backup came back, and what a loss would have cost."""

    list_display = (
        "started_at", "finished_at", "ok", "restored", "differing", "lost", "lost_seconds",
        "detail",
    )  # fmt: skip
