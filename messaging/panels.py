"""What the admin's page of a chat shows besides the chat: who is and was in it."""

from typing import Any

from django.db.models import F
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from common.deeds import Panel, Table, link, offer, tag
from messaging.models import Chat, Membership

MEMBERS_SHOWN = 1000
OF_GROUPS, OF_CHATS = "groups.group", "messaging.chat"


def user_link(user: Any) -> object:
    """Return a user's name as a link to their page, where there is one."""
    try:
        return link(user.username, reverse("admin:accounts_user_change", args=[user.pk]))
    except NoReverseMatch:
        return user.username


def members_of(request: HttpRequest, chat: Chat) -> dict[str, Any]:
    """Return who is in a chat, then who was, from which seq to which: one query."""
    stretches = list(
        Membership.objects.filter(chat=chat)
        .select_related("user")
        .order_by(F("last_seq").desc(nulls_first=True), "pk")[: MEMBERS_SHOWN + 1]
    )
    removes = chat.kind == Chat.Kind.GROUP and request.user.has_perm("groups.change_group")
    rows = [
        [
            user_link(member.user),
            tag(member.role, "") if member.last_seq is None else "left",
            member.joined_at,
            member.left_at,
            f"#{member.first_seq} to {f'#{member.last_seq}' if member.last_seq else 'now'}",
            *([_remove(chat, member)] if removes else []),
        ]
        for member in stretches[:MEMBERS_SHOWN]
    ]
    columns = ["User", "Role", "Joined", "Left", "Sees", *(["Remove"] if removes else [])]
    more = len(stretches) > MEMBERS_SHOWN
    note = f"Only {MEMBERS_SHOWN} are shown." if more else ""
    return {**Table(columns, rows, "Nobody is in it.").context(), "note": note}


def _remove(chat: Chat, member: Membership) -> SafeString | None:
    if member.last_seq is not None:
        return None
    page = reverse("admin:groups_group_change", args=[chat.pk]).removesuffix("change/")
    query = urlencode({"member": member.user.username})
    return format_html('<a href="{}do/remove/?{}">Remove…</a>', page, query)


def _may_see(request: HttpRequest, chat: Chat) -> bool:
    return True


def offer_all() -> None:
    """Have the pages of chats and groups show them."""
    for label in (OF_CHATS, OF_GROUPS):
        offer(
            label,
            Panel(name="members", title="Members", load=members_of, may=_may_see, order=10),
        )
