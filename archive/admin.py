"""The moderators' page of what retention did: to look, not to touch."""

from django.contrib import admin

from archive.models import DrillRun, RetentionRun
from common.admin import ReadOnlyModelAdmin


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
