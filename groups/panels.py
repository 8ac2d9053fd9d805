"""What the admin's page of a user shows of groups."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from common.deeds import Panel, Table, link, offer, permitted
from groups.selectors import groups_of

SHOWN = 20


def groups_in(request: HttpRequest, user: Any) -> dict[str, Any]:
    """Return the last groups that a user is in: one query."""
    rows = [
        [
            link(group.name, reverse("admin:groups_group_change", args=[group.pk])),
            "owner" if group.owner_id == user.pk else "member",  # type: ignore[attr-defined]
            group.member_count,
            group.last_at,
        ]
        for group in groups_of(user.pk).order_by("-pk")[:SHOWN]
    ]
    return Table(
        ("Group", "As", "Members", "Last message"),
        rows,
        "In no group.",
        f"{reverse('admin:groups_group_changelist')}?q={user.pk}",
        "All groups of this user",
    ).context()


def offer_all() -> None:
    """Have the page of a user show them."""
    may = permitted("groups.view_group")
    offer(
        "accounts.user",
        Panel(name="groups", title="Groups", load=groups_in, may=may, order=30),
    )
