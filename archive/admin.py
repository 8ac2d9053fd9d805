"""The operators' pages: what the archive's runs did, and buttons that start them."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_POST
from rest_framework.exceptions import APIException

from archive import jobs
from archive.models import ArchiveKey, BackupRun, DrillRun, Erasure, Job, RetentionRun
from audit import actors
from common import archive_key
from common.admin import ReadOnlyModelAdmin
from common.deeds import tag

EXPLAINED = {
    Job.Kind.BACKUP: "Brings everything sent before the last full hour into cold storage. It also "
    "runs by itself two minutes past each hour.",
    Job.Kind.SAMPLE: "Reads one object in a hundred and compares it with what was written.",
    Job.Kind.VERIFY: "Reads every object and compares it with what was written. Takes long.",
    Job.Kind.REPAIR: "The same, and writes what is wrong again from the database or from another "
    "member's copy.",
    Job.Kind.TRIM: "Takes messages out of the database that cold storage holds for everybody.",
    Job.Kind.PURGE: "Deletes the objects that are past retention, for good. It also runs daily.",
    Job.Kind.DRILL: "Restores the newest backup into a scratch database and compares it. It also "
    "runs weekly.",
}
STATES = {
    Job.State.WAITING: ("waiting", ""),
    Job.State.RUNNING: ("running", "warn"),
    Job.State.DONE: ("done", "good"),
    Job.State.FAILED: ("failed", "bad"),
}


def bytes_shown(number: int) -> str:
    """Return a size as people read it."""
    size = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


class RunAdmin(ReadOnlyModelAdmin):
    """For rows that a run leaves."""

    @admin.display(description="ended")
    def ended(self, run: Any) -> Any:
        """Return when a run ended, or that it has not."""
        return run.finished_at or tag("running, or killed", "warn")


@admin.register(Job)
class JobAdmin(ReadOnlyModelAdmin):
    """What was started here, how far it is, and how it ended."""

    list_display = ("what", "standing", "asked_by", "asked_at", "finished_at", "sentence")
    list_filter = ("kind", "state")
    fields = ("what", "asked_by", "asked_at", "finished_at")
    readonly_fields = fields
    list_before_template = "archive/admin/start.html"
    change_form_outer_before_template = "archive/admin/job.html"
    empty_text = "No run has been started here yet."

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may see backups may see what is run."""
        return request.user.has_perm("archive.view_backuprun") or super().has_view_permission(
            request, obj
        )

    def has_module_permission(self, request: HttpRequest) -> bool:
        """As for the list."""
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        """Add the button and the progress."""
        start = self.admin_site.admin_view(require_POST(self.start))
        progress = self.admin_site.admin_view(require_GET(self.progress))
        return [
            path("start/", start, name="archive_job_start"),
            path("<int:job_id>/progress/", progress, name="archive_job_progress"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the list below the buttons."""
        jobs.settle_silent()
        live = {job.kind: job for job in Job.objects.filter(state__in=Job.LIVE)}
        buttons = [
            {"kind": kind, "explained": EXPLAINED[kind], "live": live.get(kind)}
            for kind in jobs.kinds_for(actors.of_request(request))
        ]
        return super().changelist_view(request, {**(extra_context or {}), "buttons": buttons})

    def start(self, request: HttpRequest) -> HttpResponse:
        """Start a run, or lead to the one that is under way."""
        try:
            job, new = jobs.start_job(kind=request.POST.get("kind", ""))
        except APIException as error:
            if error.status_code == 403:  # noqa: PLR2004
                raise PermissionDenied from error
            self.message_user(request, str(error.detail), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:archive_job_changelist"))
        if not new:
            self.message_user(request, "It is under way already.", messages.WARNING)
        return HttpResponseRedirect(reverse("admin:archive_job_change", args=[job.pk]))

    def progress(self, request: HttpRequest, job_id: int) -> HttpResponse:
        """Return how far a run is; the page asks while it is under way."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        jobs.settle_silent()
        job = Job.objects.filter(pk=job_id).first()
        if job is None:
            raise Http404
        return render(request, "archive/admin/progress.html", {"job": job})

    @admin.display(description="run")
    def what(self, job: Job) -> str:
        """Return what is run."""
        return str(job.get_kind_display())

    @admin.display(description="state")
    def standing(self, job: Job) -> SafeString:
        """Return how far it is."""
        label, state = STATES[Job.State(job.state)]
        if job.state == Job.State.RUNNING and job.total:
            label = f"{label}, {min(100, 100 * job.done // job.total)} %"
        return tag(label, state)


@admin.register(BackupRun)
class BackupRunAdmin(RunAdmin):
    """Each backup, and up to when everything was in cold storage after it."""

    list_display = (
        "started_at", "ended", "until", "messages", "objects_written", "missing", "failed",
    )  # fmt: skip
    empty_text = "No backup has run yet."


@admin.register(RetentionRun)
class RetentionRunAdmin(RunAdmin):
    """Each purge: what was due, went and stayed."""

    list_display = (
        "started_at", "ended", "days", "due", "deleted", "kept", "bytes_freed", "oldest", "failed",
    )  # fmt: skip
    empty_text = "No purge has run yet."

    @admin.display(description="freed")
    def bytes_freed(self, run: RetentionRun) -> str:
        """Return how much room it made."""
        return bytes_shown(run.freed)


@admin.register(DrillRun)
class DrillRunAdmin(RunAdmin):
    """Each drill: whether the backup came back, and what a loss would have cost."""

    list_display = (
        "started_at", "ended", "outcome", "restored", "differing", "missing", "lost", "seconds",
        "detail",
    )  # fmt: skip
    empty_text = "No drill has run yet."

    @admin.display(description="outcome")
    def outcome(self, run: DrillRun) -> SafeString:
        """Return whether all came back."""
        if run.finished_at is None:
            return tag("not known", "")
        return tag("passed", "good") if run.ok else tag("failed", "bad")

    @admin.display(description="oldest lost")
    def seconds(self, run: DrillRun) -> str | None:
        """Return how long before the drill the oldest lost message was sent."""
        return f"{run.lost_seconds:,.0f} s before" if run.lost else None


@admin.register(ArchiveKey)
class ArchiveKeyAdmin(ReadOnlyModelAdmin):
    """The archive's keys: which signs, and since when a copy is known to be elsewhere."""

    list_display = ("key_id", "use", "kept", "confirmed_by", "first_seen_at", "all_signed_at")
    fields = list_display
    readonly_fields = fields
    empty_text = "No backup has signed anything yet."

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may see backups may see what they are signed with; a row has no key in it."""
        return request.user.has_perm("archive.view_backuprun") or super().has_view_permission(
            request, obj
        )

    def has_module_permission(self, request: HttpRequest) -> bool:
        """As for the list."""
        return self.has_view_permission(request)

    @admin.display(description="use")
    def use(self, key: ArchiveKey) -> SafeString:
        """Return what it is there for now."""
        ring = archive_key.ids()
        if key.key_id not in ring:
            return tag("not in the ring", "")
        return tag("signs", "good") if key.key_id == ring[0] else tag("verifies", "")

    @admin.display(description="kept elsewhere")
    def kept(self, key: ArchiveKey) -> SafeString:
        """Return since when a copy is known to be elsewhere."""
        if key.confirmed_at:
            return tag(f"since {key.confirmed_at:%Y-%m-%d}", "good")
        return tag("not confirmed: manage.py archive_key --show, then --confirm", "bad")


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyModelAdmin):
    """Messages whose text is to go, until no tier holds it any more."""

    list_display = ("message", "asked_at", "standing")
    fields = ("message", "asked_at", "standing", "unreached")
    readonly_fields = fields
    empty_text = "No message has been erased."

    @admin.display(description="message")
    def message(self, erasure: Erasure) -> SafeString:
        """Return which message."""
        return format_html('<code class="id">{}</code> #{}', erasure.chat_id, erasure.seq)

    @admin.display(description="state")
    def standing(self, erasure: Erasure) -> SafeString:
        """Return whether it is gone everywhere."""
        if erasure.done_at and erasure.unreached:
            return tag("gone, but for lost or damaged objects that could not be reached", "warn")
        if erasure.done_at:
            return tag(f"gone everywhere since {erasure.done_at:%Y-%m-%d %H:%M:%S}", "good")
        return tag("gone from database and cache; cold storage follows", "warn")
