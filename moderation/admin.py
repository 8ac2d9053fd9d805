"""The moderators' queue, what they redacted, and what they read for a reason."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import selectors
from accounts.models import User
from accounts.panels import user_link
from audit import actors
from common.admin import ReadOnlyModelAdmin
from common.deeds import link, tag
from common.ids import parse_id
from messaging.models import Chat
from moderation import deeds, panels
from moderation.cases import cases_for
from moderation.models import (
    LIVE,
    BreakGlass,
    Case,
    Kind,
    Redaction,
    Report,
    State,
)

TO_THE_SECOND = "%Y-%m-%d %H:%M:%S"
LIVE_CASES, MINE = "live", "mine"

deeds.offer_all()
panels.offer_all()


def chat_link(chat: Chat) -> SafeString:
    """Return a link to a chat's page, by its name."""
    page = "groups_group" if chat.kind == Chat.Kind.GROUP else "messaging_chat"
    name = chat.name or ("group" if chat.kind == Chat.Kind.GROUP else "private chat")
    try:
        return link(name, reverse(f"admin:{page}_change", args=[chat.pk]))
    except NoReverseMatch:
        return format_html("{}", name)


class StateFilter(admin.SimpleListFilter):
    """What is to be decided, unless something else is asked for."""

    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the states and what is often looked for."""
        states = [(str(value), str(label).capitalize()) for value, label in State.choices]
        return [(LIVE_CASES, "To decide"), (MINE, "Mine"), *states, ("all", "All")]

    def choices(self, changelist: Any) -> Any:
        """Yield the choices; the first is what is shown when nothing is asked for."""
        chosen = self.value() or LIVE_CASES
        for lookup, title in self.lookup_choices:
            yield {
                "selected": chosen == str(lookup),
                "query_string": changelist.get_query_string({self.parameter_name: lookup}),
                "display": title,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter, by index."""
        chosen = self.value() or LIVE_CASES
        if chosen in State.values:
            return queryset.filter(state=chosen)
        if chosen == MINE:
            return queryset.filter(assignee=request.user.pk)
        return queryset.filter(state__in=LIVE) if chosen == LIVE_CASES else queryset


class OfChatsAndUsersAdmin(ReadOnlyModelAdmin):
    """For what is about a user or in a chat: searched by the user's name or id, or the chat's."""

    user_column = "user"
    search_fields = ("pk",)
    search_help_text = "The beginning of a user's name, a user's whole id, or a chat's."
    actions = None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search for the users first, then for their rows: both by index."""
        text = search_term.strip()
        if not text:
            return queryset, False
        found = selectors.search_users(User.objects.order_by("username_key"), text)
        ids = list(found.values_list("pk", flat=True)[: selectors.SEARCH_MAX_USERS])
        if ids or parse_id(text) is None:
            return queryset.filter(**{f"{self.user_column}__in": ids}), False
        return queryset.filter(chat=parse_id(text)), False


@admin.register(Case)
class CaseAdmin(OfChatsAndUsersAdmin):
    """The queue: what users report, until somebody has decided."""

    list_display = (
        *("opened", "what", "reported", "first_reason", "reports", "last_reported"),
        *("standing", "taken_by"),
    )
    list_display_links = ("opened", "what")
    list_select_related = ("user", "chat", "assignee", "closed_by")
    list_filter = (StateFilter, "kind")
    empty_text = "Nothing to decide. Reports by users come in here."
    fields = (
        *("standing", "taken_by", "reported", "account", "where", "message", "reports"),
        *("first_reported", "last_reported", "done", "resolution", "closed_at", "closed_by"),
    )
    readonly_fields = fields

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave out what only a closed case has, and what only a message has."""
        lacks = {"done", "resolution", "closed_at", "closed_by"} if obj and obj.live else set()
        if obj and obj.kind == Kind.USER:
            lacks |= {"where", "message"}
        return [field for field in self.fields if field not in lacks]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the cases, none about the caller; who may not see any sees none."""
        if not self.has_view_permission(request):
            return Case.objects.none()
        first = Report.objects.filter(case=OuterRef("pk")).order_by("pk").values("reason")[:1]
        cases = cases_for(actors.of_request(request)).annotate(reason_first=Subquery(first))
        return cases.select_related("user", "chat", "assignee", "closed_by").order_by("-pk")

    @admin.display(description="first report")
    def opened(self, case: Case) -> str:
        """Return when the first report came."""
        return f"{case.opened_at:%Y-%m-%d %H:%M}"

    @admin.display(description="first report")
    def first_reported(self, case: Case) -> str:
        """Return when the first report came, to the second."""
        return f"{case.opened_at:{TO_THE_SECOND}}"

    @admin.display(description="last report")
    def last_reported(self, case: Case) -> str:
        """Return when the last report came."""
        return f"{case.reported_at:{TO_THE_SECOND}}"

    @admin.display(description="reports")
    def reports(self, case: Case) -> int:
        """Return how many there are."""
        return case.report_count

    @admin.display(description="taken by")
    def taken_by(self, case: Case) -> str:
        """Return whose it is."""
        return case.assignee.username if case.assignee else "nobody"

    @admin.display(description="state")
    def standing(self, case: Case) -> SafeString:
        """Return the state."""
        return panels.state_tag(case)

    @admin.display(description="reported")
    def reported(self, case: Case) -> object:
        """Return who is reported."""
        return user_link(case.user)

    @admin.display(description="their account")
    def account(self, case: Case) -> SafeString:
        """Return whether they are banned, or of the staff."""
        if not case.user.is_active:
            return tag("banned", "bad")
        return tag("staff", "warn") if case.user.is_staff else tag("active", "good")

    @admin.display(description="what")
    def what(self, case: Case) -> str:
        """Return the beginning of the message, or that it is about an account."""
        return panels.excerpt_of(case)

    @admin.display(description="why")
    def first_reason(self, case: Any) -> str:
        """Return the first report's reason."""
        return str(case.reason_first or "")

    @admin.display(description="where")
    def where(self, case: Case) -> SafeString | None:
        """Return the chat that the message stands in."""
        if case.chat is None:
            return None
        frozen = tag("frozen", "warn") if case.chat.frozen_at else ""
        return format_html("{} · #{} {}", chat_link(case.chat), case.seq, frozen)

    @admin.display(description="as it was reported")
    def message(self, case: Case) -> SafeString | None:
        """Return the message as it was."""
        if case.kind == Kind.USER:
            return None
        if not case.text:
            return tag("no longer kept", "")
        return panels.reported_text(case)

    @admin.display(description="done about it")
    def done(self, case: Case) -> SafeString | None:
        """Return what was done, with the way to how far a redaction is."""
        return None if case.live else panels.done_with_link(case)


@admin.register(Redaction)
class RedactionAdmin(OfChatsAndUsersAdmin):
    """Messages whose text was taken, and whether it is gone everywhere."""

    user_column = "asked_by"
    list_display = ("place", "progress", "reason", "asked_by", "asked_at", "done_at", "note")
    list_display_links = ("place",)
    list_select_related = ("chat", "asked_by")
    change_form_outer_before_template = "moderation/admin/redaction.html"
    fields = ("place", "progress", "where", "reason", "asked_by", "asked_at", "done_at", "note")
    readonly_fields = fields
    empty_text = "No message has been redacted."

    def get_urls(self) -> list[URLPattern]:
        """Add the steps, which the page asks for while it is under way."""
        view = self.admin_site.admin_view(self.steps)
        url = path("<int:redaction_id>/steps/", view, name="moderation_redaction_progress")
        return [url, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show which tiers the text is gone from."""
        context |= panels.steps_of(context["original"]) if context.get("original") else {}
        return super().render_change_form(request, context, *args, **kwargs)

    def steps(self, request: HttpRequest, redaction_id: int) -> HttpResponse:
        """Return which tiers the text is gone from, alone."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = Redaction.objects.filter(pk=redaction_id).first()
        if found is None:
            raise Http404
        return render(request, "moderation/admin/steps.html", panels.steps_of(found))

    @admin.display(description="message")
    def place(self, redaction: Redaction) -> str:
        """Return the message's place."""
        return f"#{redaction.seq}"

    @admin.display(description="chat")
    def where(self, redaction: Redaction) -> SafeString:
        """Return the chat."""
        return chat_link(redaction.chat)

    @admin.display(description="progress")
    def progress(self, redaction: Redaction) -> SafeString:
        """Return whether the text is gone from every tier."""
        return tag("gone from every tier", "good") if redaction.done_at else tag("going", "warn")


@admin.register(BreakGlass)
class BreakGlassAdmin(OfChatsAndUsersAdmin):
    """Who reads or has read which chat for which reason."""

    user_column = "opened_by"
    list_display = ("opened", "state", "opened_by", "reason", "pages_read", "expires_at")
    list_display_links = ("opened",)
    list_select_related = ("opened_by", "chat")
    fields = (
        *("state", "where", "opened_by", "reason", "opened_at", "expires_at", "closed_at"),
        "pages_read",
    )
    readonly_fields = fields
    empty_text = "Nobody has read a private chat."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return all, with who opened each."""
        return super().get_queryset(request).select_related("opened_by", "chat")

    @admin.display(description="opened")
    def opened(self, glass: BreakGlass) -> str:
        """Return when."""
        return f"{glass.opened_at:%Y-%m-%d %H:%M}"

    @admin.display(description="chat")
    def where(self, glass: BreakGlass) -> SafeString:
        """Return the chat, whose page says who is in it."""
        return chat_link(glass.chat)

    @admin.display(description="state")
    def state(self, glass: BreakGlass) -> SafeString:
        """Return whether it still holds."""
        return tag("open", "warn") if glass.open else tag("ended", "")
