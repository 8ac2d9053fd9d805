"""The page of the audit log: to find, to read, to take along; nothing here can be changed."""

from datetime import timedelta
from typing import Any

import orjson
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from audit.export import rows_of
from audit.models import Action, Entry
from audit.services import Target, record
from common.admin import ReadOnlyModelAdmin
from common.ids import parse_id

FOUND_AT_MOST = 1000
DAYS = {"1": "Past day", "7": "Past week", "30": "Past month", "365": "Past year"}


class ActionFilter(admin.SimpleListFilter):
    """By what was done."""

    title, parameter_name = "action", "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return what there may be."""
        return [(str(value), str(label)) for value, label in Action.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter, by index."""
        chosen = self.value()
        return queryset.filter(action=chosen) if chosen in Action.values else queryset


class WhenFilter(admin.SimpleListFilter):
    """By when."""

    title, parameter_name = "time", "days"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the stretches."""
        return list(DAYS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter, by index."""
        days = self.value()
        if days not in DAYS:
            return queryset
        return queryset.filter(at__gte=timezone.now() - timedelta(days=int(str(days))))


@admin.register(Entry)
class EntryAdmin(ReadOnlyModelAdmin):
    """Find and read entries, and export what was found."""

    list_display = ("number", "at", "who", "what", "target", "reason", "address")
    list_display_links = ("number",)
    list_filter = (ActionFilter, WhenFilter)
    search_fields = ("actor_name",)
    search_help_text = (
        "A whole name or id of who did it or of what it was done to, an address, or #number."
    )
    list_before_template = "audit/export.html"
    empty_text = "Nothing has been recorded."
    actions = None
    fields = (
        *("number", "at", "actor_kind", "actor_name", "actor_id", "address", "session"),
        *("request_id", "what", "target_kind", "target_id", "target_name", "reason"),
        *("was", "then", "its_hash"),
    )
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search each column by its index first, then for the entries."""
        text = search_term.strip()
        if not text:
            return queryset, False
        if "\0" in text or not text.isprintable():
            return queryset.none(), False
        if text.startswith("#") and text[1:].isdecimal() and len(text) < FOUND_AT_MOST // 50:
            return queryset.filter(pk=int(text[1:])), False
        columns: dict[str, Any] = dict.fromkeys(
            ("actor_name", "target_name", "target_id", "address"), text
        )
        if id_ := parse_id(text):
            columns["actor_id"] = id_
        found: set[int] = set()
        for column, value in columns.items():
            entries = Entry.objects.filter(**{column: value}).order_by("-pk")
            found.update(entries.values_list("pk", flat=True)[:FOUND_AT_MOST])
        return queryset.filter(pk__in=found), False

    def get_urls(self) -> list[URLPattern]:
        """Add the export."""
        view = self.admin_site.admin_view(self.export)
        return [path("export/", view, name="audit_entry_export"), *super().get_urls()]

    def export(self, request: HttpRequest) -> StreamingHttpResponse:
        """Answer what the list shows, all of it, as CSV; and record that."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        entries = self.get_changelist_instance(request).get_queryset(request)
        record(
            Action.EXPORT_AUDIT,
            target=Target("audit log"),
            after={"filters": request.GET.dict()},
        )
        return StreamingHttpResponse(
            rows_of(entries),
            content_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": 'attachment; filename="audit.csv"',
                "Cache-Control": "no-store",
            },
        )

    @admin.display(description="entry")
    def number(self, entry: Entry) -> str:
        """Return its number."""
        return f"#{entry.pk}"

    @admin.display(description="who")
    def who(self, entry: Entry) -> str:
        """Return who did it, and what they are where they are no user."""
        name = entry.actor_name or "nobody known"
        return name if entry.actor_kind in ("user", "nobody") else f"{entry.actor_kind} {name}"

    @admin.display(description="did what")
    def what(self, entry: Entry) -> str:
        """Return what was done."""
        return entry.get_action_display()

    @admin.display(description="on whom or what")
    def target(self, entry: Entry) -> str:
        """Return what it was done to."""
        return f"{entry.target_kind} {entry.target_name or entry.target_id}".strip()

    @admin.display(description="before")
    def was(self, entry: Entry) -> SafeString | None:
        """Return how it stood."""
        return _as_json(entry.before)

    @admin.display(description="after")
    def then(self, entry: Entry) -> SafeString | None:
        """Return how it stood then."""
        return _as_json(entry.after)

    @admin.display(description="hash")
    def its_hash(self, entry: Entry) -> SafeString:
        """Return the entry's place in the chain."""
        return format_html('<code class="hash">{}</code>', bytes(entry.hash).hex())


def _as_json(value: Any) -> SafeString | None:
    """Return JSON to read, without the colours that the page's policy has no room for."""
    if value is None:
        return None
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    return format_html('<pre class="as-sent">{}</pre>', text)
