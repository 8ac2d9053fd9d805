"""What the admin's pages show of reports, and of chats that are read for a reason."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.models import User
from accounts.panels import user_link
from archive.models import Erasure
from audit import actors
from common.deeds import Panel, Table, link, offer, permitted, tag
from common.errors import Forbidden, NotFound, Unavailable
from common.numbers import whole_number
from common.words import is_long
from messaging.models import Chat
from moderation import context, glass
from moderation.cases import cases_for
from moderation.models import BreakGlass, Case, Kind, Measure, Redaction, State, done_about
from moderation.reading import ChatPage

SHOWN = 20
EXCERPT = 80
AWAY = "This can't be read right now: cold storage does not answer, or nobody's copy is left."
STATES = {
    State.OPEN: "warn",
    State.IN_PROGRESS: "warn",
    State.RESOLVED: "good",
    State.DISMISSED: "",
}


def case_link(case: Case, text: object) -> SafeString:
    """Return a link to a case's page."""
    return link(text, reverse("admin:moderation_case_change", args=[case.pk]))


def state_tag(case: Case) -> SafeString:
    """Return a case's state as a word that stands out."""
    return tag(case.get_state_display(), STATES[State(case.state)])


def done_with_link(case: Case) -> SafeString:
    """Return what was done about a case, and where to see how far its redaction is."""
    found = None
    if Measure.REDACT in case.measures and case.seq is not None:
        found = Redaction.objects.filter(chat=case.chat_id, seq=case.seq).first()
    if found is None:
        return format_html("{}", done_about(case))
    page = reverse("admin:moderation_redaction_change", args=[found.pk])
    return format_html("{} · {}", done_about(case), link("how far the text is gone", page))


def excerpt_of(case: Case) -> str:
    """Return the beginning of the reported message, or that it is about an account."""
    if case.kind == Kind.USER:
        return "the account"
    text = " ".join(case.text.split())
    return f"{text[:EXCERPT]} …" if len(text) > EXCERPT else text or "a message"


def _talk(page: ChatPage, sentence: str, redact: str = "") -> dict[str, Any]:
    """Return what a list of messages shows; `redact` is the page that redacts one of them."""
    return {
        "messages": page.messages,
        "served_from": page.served_from,
        "sentence": sentence,
        "reported": None,
        "redact": redact,
    }


def _redact_in_group(request: HttpRequest, group_id: Any) -> str:
    """Return the page that redacts a group's message, for who may."""
    if not permitted("messaging.delete_message")(request, None):
        return ""
    return reverse("admin:groups_group_do", args=[group_id, "redact"])


def context_of(request: HttpRequest, case: Case) -> dict[str, Any] | None:
    """Return what was said around a reported message; that it was read is recorded."""
    if case.kind != Kind.MESSAGE:
        return None
    try:
        page = context.read_context(case=case, by=actors.of_request(request))
    except Unavailable:
        return {"unavailable": AWAY}
    sentence = (
        f"Up to {context.AROUND} messages before and after it, as far as somebody who reported it "
        "could see. That you read it is recorded."
    )
    if not page.messages:
        sentence = "Nothing of this stretch of the chat is kept any more."
    group = case.chat is not None and case.chat.kind == Chat.Kind.GROUP
    redact = _redact_in_group(request, case.chat_id) if group else ""
    return _talk(page, sentence, redact) | {"reported": case.seq}


def reports_of(request: HttpRequest, case: Case) -> dict[str, Any]:
    """Return who reported what, and why."""
    found = list(context.reports_of(case)[:SHOWN])
    rows = [
        [
            report.created_at,
            user_link(report.reporter),
            report.get_reason_display(),
            as_sent(report.comment, "In their words") if report.comment else None,
        ]
        for report in found
    ]
    more = max(case.report_count - len(found), 0)
    note = {"note": f"And {more} before these."} if more else {}
    return Table(("When", "By", "Why", "In their words"), rows, "Nobody.").context() | note


def others_of(request: HttpRequest, case: Case) -> dict[str, Any]:
    """Return other reports of the same user."""
    return _cases(context.other_cases(case), "There is no other report of this user.")


def standing_of(request: HttpRequest, case: Case) -> dict[str, Any]:
    """Return how the reported user stands: bans, removals, who blocks them."""
    known = context.standing_of(case)
    rows = [
        [entry.at, entry.actor_name, entry.get_action_display(), entry.reason or None]
        for entry in known.entries
    ]
    blocked = {0: "Nobody blocks them.", 1: "1 user blocks them."}.get(
        known.blocked_by, f"{known.blocked_by} users block them."
    )
    if rows and known.blocked_by:
        rows.append([None, None, blocked, None])
    empty = f"Never banned, never removed by a moderator. {blocked}"
    return Table(("When", "Who", "Did what", "Why"), rows, empty).context()


def trail_of(request: HttpRequest, case: Case) -> dict[str, Any]:
    """Return what was done about a case."""
    rows = [
        [entry.at, entry.actor_name, entry.get_action_display(), entry.reason or None]
        for entry in context.trail_of(case)[:SHOWN]
    ]
    readers = ", ".join(
        f"{name} ({times} times)" if times > 1 else name for name, times in context.readers_of(case)
    )
    note = {"note": f"Opened by {readers}."} if readers else {}
    return Table(("When", "Who", "Did what", "Why"), rows, "Nothing yet.").context() | note


def cases_of_user(request: HttpRequest, user: User) -> dict[str, Any] | None:
    """Return the reports of a user, for the page of that user; nobody sees those of themself."""
    by = actors.of_request(request)
    if by.id == user.pk:
        return None
    found = cases_for(by).filter(user=user).select_related("closed_by").order_by("-pk")[:SHOWN]
    return _cases(list(found), "Nobody has reported this user.")


def _cases(found: list[Case], empty: str) -> dict[str, Any]:
    rows = [
        [
            case_link(case, f"{case.opened_at:%Y-%m-%d %H:%M}"),
            excerpt_of(case),
            case.report_count,
            state_tag(case),
            None if case.live else done_about(case),
            case.resolution or None,
        ]
        for case in found
    ]
    columns = ("First report", "What", "Reports", "State", "Done", "Why")
    return Table(columns, rows, empty).context()


def _before(request: HttpRequest) -> int | None:
    before = whole_number(request.GET.get("before"))
    return before if before is not None and 0 <= before < 2**63 else None


def _history(request: HttpRequest, chat_id: Any, asked: str, redact: str) -> dict[str, Any]:
    before = _before(request)
    try:
        page = glass.read_chat(chat_id=chat_id, before=before, by=actors.of_request(request))
    except Unavailable:
        return {"unavailable": AWAY}
    except (Forbidden, NotFound) as error:
        return {"unavailable": str(error.detail)}
    found = _talk(page, "That you read this page is recorded.", redact)
    if page.older and page.first:
        found["older"] = f"{asked}before={page.first}"
    if page.newer and before is not None:
        found["newest"] = asked
    return found


def group_messages(request: HttpRequest, group: Chat) -> dict[str, Any]:
    """Return a group's messages once they are asked for: reading is recorded."""
    if "read" in request.GET:
        return _history(request, group.pk, "read=1&", _redact_in_group(request, group.pk))
    return {"ask": "read=1", "sentence": "Reading what the members write is recorded."}


def glass_messages(request: HttpRequest, opened: BreakGlass) -> dict[str, Any] | None:
    """Return the messages behind broken glass, to who broke it and while that holds."""
    if opened.opened_by_id != request.user.pk:
        return {"unavailable": f"Only {opened.opened_by} reads through this."}
    if not opened.open:
        return {"unavailable": "This has ended. Break the glass again, with a reason, to read on."}
    found = _history(request, opened.chat_id, "", "../do/redact/")
    opened.pages_read += "messages" in found  # the one that is being shown
    return found


def chat_glass(request: HttpRequest, chat: Chat) -> dict[str, Any]:
    """Return who has read a private chat through broken glass."""
    found = BreakGlass.objects.filter(chat=chat).select_related("opened_by").order_by("-pk")[:SHOWN]
    rows = [
        [
            link(
                f"{opened.opened_at:%Y-%m-%d %H:%M}",
                reverse("admin:moderation_breakglass_change", args=[opened.pk]),
            ),
            opened.opened_by.username,
            tag("open", "warn") if opened.open else tag("ended", ""),
            opened.pages_read,
            opened.reason,
        ]
        for opened in found
    ]
    columns = ("Broken", "By", "State", "Pages read", "Why")
    return Table(columns, rows, "No moderator has read this chat.").context()


def steps_of(redaction: Redaction) -> dict[str, Any]:
    """Return which tiers a redacted text is gone from, for the page's steps."""
    # The archive notes it with the change that takes the text out of the database.
    asked = Erasure.objects.filter(chat=redaction.chat_id, seq=redaction.seq).exists()
    return {"redaction": redaction, "near": asked or redaction.done_at is not None}


def reported_text(case: Case) -> SafeString:
    """Return the message as it was when it was reported."""
    return as_sent(case.text, "The reported message")


def as_sent(text: str, label: str) -> SafeString:
    """Return what somebody wrote, in a place of its own, which keys can scroll if it is long."""
    if not is_long(text):
        return format_html('<p class="as-sent">{}</p>', text)
    return format_html(
        '<p class="as-sent" tabindex="0" role="group" aria-label="{}">{}</p>', label, text
    )


def offer_all() -> None:
    """Have the pages of cases, users, groups, chats and broken glass show them."""
    talk = "moderation/talk.html"
    view = permitted("moderation.view_case")
    offer(
        "moderation.case",
        Panel(
            name="context", title="What was said around it", load=context_of, may=view,
            template=talk, order=10,
        ),
        Panel(name="reports", title="Who reported it", load=reports_of, may=view, order=20),
        Panel(name="others", title="Other reports of them", load=others_of, may=view, order=30),
        Panel(name="standing", title="Bans and removals", load=standing_of, may=view, order=40),
        Panel(name="trail", title="What was done", load=trail_of, may=view, order=50),
    )  # fmt: skip
    offer(
        "accounts.user",
        Panel(name="cases", title="Reports of them", load=cases_of_user, may=view, order=10),
    )
    offer(
        "groups.group",
        Panel(
            name="messages", title="Messages", load=group_messages,
            may=permitted("groups.change_group"), template="moderation/group_messages.html",
            order=60,
        ),
    )  # fmt: skip
    offer(
        "messaging.chat",
        Panel(
            name="glass", title="Read by moderators", load=chat_glass,
            may=lambda request, chat: (
                chat.kind == Chat.Kind.PRIVATE
                and request.user.has_perm("moderation.view_breakglass")
            ),
            order=60,
        ),
    )  # fmt: skip
    offer(
        "moderation.breakglass",
        Panel(
            name="messages", title="Messages", load=glass_messages,
            may=permitted("moderation.add_breakglass"), template=talk, order=10,
        ),
    )  # fmt: skip
