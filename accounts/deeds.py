"""What moderators do to users from the admin's page of one: thin callers of the services."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget

from accounts import factors, rights, services
from accounts.models import Block, Token, User
from audit import actors
from common.deeds import Deed, ReasonForm, offer

MOMENT = "%Y-%m-%d %H:%M UTC"


class BanForm(ReasonForm):
    """Asks why, and for how long."""

    LENGTHS = (
        ("1", "1 day"),
        ("7", "7 days"),
        ("30", "30 days"),
        ("365", "A year"),
        ("date", "On the date below"),
        ("never", "For good"),
    )
    ends = forms.ChoiceField(
        choices=LENGTHS, initial="7", widget=UnfoldAdminSelectWidget(), label="It ends after"
    )
    until = forms.DateTimeField(
        required=False,
        label="Date of the end",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="In UTC, for the choice above. The ban ends by itself then.",
    )

    def clean(self) -> dict[str, Any]:
        """Turn the length into the moment of the end; None for never."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        ends, until = data.get("ends"), data.get("until")
        if ends == "date" and until is None and "until" not in self.errors:
            self.add_error("until", "Say when the ban ends, or choose another length.")
        days = int(ends) if ends and ends.isdecimal() else None
        data["ends_at"] = timezone.now() + timedelta(days=days) if days else until
        if ends == "never":
            data["ends_at"] = None
        return data


def end_of(moment: datetime | None) -> str:
    """Return when a ban ends, in words."""
    return f"until {moment:{MOMENT}}" if moment else "for good"


def _above(permission: str) -> Any:
    """Return a `may` for what needs a permission and a user below the caller."""

    def may(request: HttpRequest, user: User) -> bool:
        by = actors.of_request(request)
        return rights.may(by, permission) and rights.above(by, user)

    return may


def _may_change(request: HttpRequest, user: User) -> bool:
    return bool(_above("accounts.change_user")(request, user))


def _ban(request: HttpRequest, user: User, data: dict[str, Any]) -> str:
    services.ban_user(user=user, reason=data["reason"], until=data["ends_at"])
    return f"{user} is banned {end_of(user.banned_until)}."


def _unban(request: HttpRequest, user: User, data: dict[str, Any]) -> str:
    services.unban_user(user=user, reason=data["reason"])
    return f"{user} may log in again."


def _revoke_tokens(request: HttpRequest, user: User, data: dict[str, Any]) -> str:
    count = services.revoke_tokens(user=user, reason=data["reason"])
    tokens = f"{count} token{'s' * (count != 1)}"
    return f"{user} is logged out everywhere: {tokens} revoked, browser sessions ended."


def _may_reset_factor(request: HttpRequest, user: User) -> bool:
    by = actors.of_request(request)
    superuser = bool(by.user and by.user.is_superuser)
    return superuser and rights.above(by, user) and factors.has_factor(user)


def _reset_factor(request: HttpRequest, user: User, data: dict[str, Any]) -> str:
    factors.reset(user=user, reason=data["reason"])
    return f"{user} has no second factor any more."


def _may_lift(request: HttpRequest, block: Block) -> bool:
    may = _above("accounts.delete_block")
    return bool(may(request, block.blocker) and may(request, block.blocked))


def _lift(request: HttpRequest, block: Block, data: dict[str, Any]) -> str:
    done = services.lift_block(block=block, reason=data["reason"])
    pair = f"{block.blocker} no longer blocks {block.blocked}."
    return pair if done else f"It was lifted already: {pair}"


def _revoke(request: HttpRequest, token: Token, data: dict[str, Any]) -> str:
    if services.revoke_token(token_id=token.pk, reason=data["reason"]):
        return f"A token of {token.user} is revoked."
    return "It was revoked already."


def _blocks(request: HttpRequest, block: Block) -> str:
    return reverse("admin:accounts_block_changelist")


def offer_all() -> None:
    """Have the pages of users, blocks and tokens offer them."""
    offer(
        "accounts.user",
        Deed(
            name="ban",
            label="Ban",
            explain="They are logged out everywhere within five seconds and can't log in while the "
            "ban lasts. What they wrote stays. A ban can be lifted at any time.",
            may=lambda request, user: user.is_active and _may_change(request, user),
            act=_ban,
            form=BanForm,
            danger=True,
        ),
        Deed(
            name="terms",
            label="Change the ban",
            explain="Gives the ban another end and another reason.",
            may=lambda request, user: not user.is_active and _may_change(request, user),
            act=_ban,
            form=BanForm,
        ),
        Deed(
            name="unban",
            label="Lift the ban",
            explain="They can log in again at once. Tokens that were revoked stay revoked.",
            may=lambda request, user: not user.is_active and _may_change(request, user),
            act=_unban,
        ),
        Deed(
            name="second_factor",
            label="Take the second factor away",
            explain="For who has lost their phone and their recovery codes: make sure by another "
            "way that it is they who ask. Their password stays; where a second factor is required, "
            "they set up another when they next log in.",
            may=_may_reset_factor,
            act=_reset_factor,
            danger=True,
        ),
        Deed(
            name="revoke",
            label="Log out everywhere",
            explain="Revokes all tokens and ends all browser sessions. They can log in again.",
            may=_may_change,
            act=_revoke_tokens,
        ),
        Deed(
            name="password",
            label="Reset password",
            explain="Sets another password, or none.",
            may=_above("accounts.reset_password"),
            href="../password/",
        ),
    )
    offer(
        "accounts.block",
        Deed(
            name="lift",
            label="Lift the block",
            explain="The two can write to each other again. Whoever blocked can block again.",
            may=_may_lift,
            act=_lift,
            then=_blocks,
        ),
    )
    offer(
        "accounts.token",
        Deed(
            name="revoke",
            label="Revoke this token",
            explain="Whoever uses it is logged out within five seconds. Other tokens stay.",
            may=lambda request, token: (
                token.revoked_at is None and _may_change(request, token.user)
            ),
            act=_revoke,
        ),
    )
