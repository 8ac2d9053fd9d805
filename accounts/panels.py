"""What the admin's page of a user shows besides the account: blocks, tokens, what was done to it.

Each part takes one query and a fixed number of rows, however much a user has.
"""

from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse

from accounts.models import Block, Token, User
from audit.models import Entry
from common.deeds import Panel, Table, link, offer, permitted

SHOWN = 20


def user_link(user: User) -> object:
    """Return a user's name as a link to their page."""
    return link(user.username, reverse("admin:accounts_user_change", args=[user.pk]))


def blocks_of(request: HttpRequest, user: User) -> dict[str, Any]:
    """Return the last blocks of and by a user."""
    blocks = (
        Block.objects.filter(Q(blocker=user) | Q(blocked=user))
        .select_related("blocker", "blocked")
        .order_by("-pk")[:SHOWN]
    )
    rows = [
        [
            "blocks" if block.blocker_id == user.pk else "is blocked by",
            user_link(block.blocked if block.blocker_id == user.pk else block.blocker),
            block.created_at,
            link("open", reverse("admin:accounts_block_change", args=[block.pk])),
        ]
        for block in blocks
    ]
    return Table(
        ("What", "User", "Since", "Block"),
        rows,
        "Blocks nobody, and nobody blocks them.",
        f"{reverse('admin:accounts_block_changelist')}?q={user.pk}",
        "All blocks of this user",
    ).context()


def tokens_of(request: HttpRequest, user: User) -> dict[str, Any]:
    """Return a user's last tokens, without what they are made of."""
    tokens = Token.objects.filter(user=user).order_by("-pk")[:SHOWN]
    rows = [
        [
            "revoked" if token.revoked_at else "valid",
            token.created_at,
            token.last_used_at or "never",
            token.revoked_at or token.expires_at,
        ]
        for token in tokens
    ]
    return Table(
        ("State", "Issued", "Last used", "Ended or ends"),
        rows,
        "No token has been issued.",
        f"{reverse('admin:accounts_token_changelist')}?q={user.pk}",
        "All tokens of this user",
    ).context()


def history_of(request: HttpRequest, thing: Any) -> dict[str, Any]:
    """Return the last entries of the audit log about a thing."""
    entries = Entry.objects.filter(target_id=str(thing.pk)).order_by("-pk")[:SHOWN]
    rows = [
        [entry.at, entry.actor_name or None, entry.get_action_display(), entry.reason or None]
        for entry in entries
    ]
    return Table(("When", "Who", "Did what", "Why"), rows, "Nothing has been done here.").context()


HISTORY = Panel(
    name="history",
    title="What was done, and why",
    load=history_of,
    may=permitted("audit.view_entry"),
    order=90,
)


def offer_all() -> None:
    """Have the page of a user show them."""
    offer(
        "accounts.user",
        Panel(
            name="blocks",
            title="Blocks",
            load=blocks_of,
            may=permitted("accounts.view_block"),
            order=20,
        ),
        Panel(
            name="tokens",
            title="Tokens",
            load=tokens_of,
            may=permitted("accounts.view_token"),
            order=40,
        ),
        HISTORY,
    )
