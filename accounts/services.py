"""Writes: accounts, tokens, blocks. Each is one transaction; the cache is told after it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.db.models.functions import Coalesce, Now
from rest_framework.exceptions import AuthenticationFailed

from accounts import names, selectors, tokens
from accounts.models import Block, Token, User
from accounts.passwords import hash_for_nobody
from accounts.standing import (
    ban_user,
    change_own_password,
    check_password,
    lift_block,
    reset_password,
    revoke,
    revoke_token,
    revoke_tokens,
    unban_if_over,
    unban_user,
)
from common.errors import Conflict, NotFound, Refusal

# What moderators do stands in a module of its own, and is found here with the rest.
__all__ = [
    "Admission",
    "NoSuchBlock",
    "SelfBlock",
    "UsernameTaken",
    "WrongCredentials",
    "ban_user",
    "block_user",
    "change_own_password",
    "check_password",
    "create_user",
    "delete_dead_tokens",
    "lift_block",
    "login",
    "logout",
    "register",
    "reset_password",
    "revoke_token",
    "revoke_tokens",
    "save_last_used",
    "unban_user",
    "unblock_user",
]

_SAVE_LAST_USED = (Path(__file__).parent / "sql" / "save_last_used.sql").read_text("utf-8")
DEAD_TOKENS_KEPT = timedelta(days=7)


class UsernameTaken(Conflict):
    """Another user has the name, in this or another case or compatibility form."""

    default_code = "username_taken"
    default_detail = "That username is taken. Choose another."
    field = "username"


class SelfBlock(Refusal):
    """Nobody blocks themself."""

    default_code = "block_self"
    default_detail = "You can't block yourself."
    field = "user_id"


class NoSuchBlock(NotFound):
    """The caller doesn't block that user."""

    default_detail = "You don't block that user."
    field = "user_id"


class WrongCredentials(AuthenticationFailed):
    """One answer, whatever was wrong, so that names can't be probed."""

    default_code = "wrong_credentials"
    default_detail = "No user has this username and this password."


@dataclass(frozen=True, slots=True)
class Admission:
    """A user and the token by which they come in from now on."""

    user: User
    token: str


def register(
    *, username: str, password: str | None = None, display_name: str | None = None
) -> Admission:
    """Create an account with a first token; raises as `create_user` does."""
    user = _new_user(username, password, display_name)
    with transaction.atomic():
        _save_new(user)
        return Admission(user, _issue(user))


def create_user(
    *, username: str, password: str | None = None, display_name: str | None = None
) -> User:
    """Create an account.

    Raises UsernameTaken, also for whoever loses a race, and ValidationError for a weak password.
    """
    user = _new_user(username, password, display_name)
    _save_new(user)
    return user


def login(*, username: str, password: str) -> Admission:
    """Check a password and issue a token; raise WrongCredentials for whatever is wrong.

    Each case hashes once, so that the time tells nothing either.
    """
    user = User.objects.filter(username_key=names.key(username)).first()
    if user is None:
        hash_for_nobody(password)
        raise WrongCredentials
    # Hashes for users without a password too; see Django's verify_password.
    if not user.check_password(password) or not (user.is_active or unban_if_over(user)):
        raise WrongCredentials
    with transaction.atomic():
        # A ban updates this row first: it either has been seen here or waits, and revokes the
        # token issued here. FOR NO KEY UPDATE, so that sends and blocks don't wait.
        locked = User.objects.select_for_update(no_key=True).filter(pk=user.pk, is_active=True)
        if not locked.exists():
            raise WrongCredentials
        _end_least_used(user)
        return Admission(user, _issue(user))


def logout(*, digest: bytes) -> None:
    """Revoke one token."""
    with transaction.atomic():
        revoke(Token.objects.filter(digest=digest))


def block_user(*, blocker_id: UUID, blocked_id: UUID) -> tuple[Block, bool]:
    """Block a user; return the block, and whether it is new. Raises SelfBlock, NotFound."""
    if blocker_id == blocked_id:
        raise SelfBlock
    with transaction.atomic():
        blocked = selectors.user_by_id(blocked_id, field="user_id")
        return Block.objects.get_or_create(blocker_id=blocker_id, blocked_id=blocked.pk)


def unblock_user(*, blocker_id: UUID, blocked_id: UUID) -> None:
    """Lift a block; raise NoSuchBlock when there is none."""
    with transaction.atomic():
        deleted, _ = Block.objects.filter(blocker_id=blocker_id, blocked_id=blocked_id).delete()
    if not deleted:
        raise NoSuchBlock


def save_last_used(*, uses: Iterable[tuple[bytes, int]]) -> int:
    """Note when tokens were last used, (digest, milliseconds since 1970) each; return how many.

    Times only move forward, so that saving the same twice, or late, changes nothing.
    """
    pairs = list(uses)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            _SAVE_LAST_USED, [[digest for digest, _ in pairs], [moment for _, moment in pairs]]
        )
        return int(cursor.rowcount)


def delete_dead_tokens(*, batch: int = 1000) -> int:
    """Delete the rows of tokens long revoked or expired; return how many.

    Long enough (`DEAD_TOKENS_KEPT`) that no cache can still hold them.
    """
    deleted = 0
    while True:
        with transaction.atomic():
            gone = Now() - DEAD_TOKENS_KEPT
            dead = (
                Token.objects.filter(Q(revoked_at__lt=gone) | Q(expires_at__lt=gone))
                .select_for_update(skip_locked=True)
                .values_list("pk", flat=True)[:batch]
            )
            ids = list(dead)
            Token.objects.filter(pk__in=ids).delete()
        deleted += len(ids)
        if len(ids) < batch:
            return deleted


def _new_user(username: str, password: str | None, display_name: str | None) -> User:
    name = names.normal(username)
    user = User(username=name, display_name=display_name or name)
    if password is not None:
        check_password(password, user)
    # Asked before the password is hashed, which is the dear part; the constraint decides.
    if selectors.username_taken(name):
        raise UsernameTaken
    user.set_password(password)
    return user


def _save_new(user: User) -> None:
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError as error:
        raise UsernameTaken from error


def _end_least_used(user: User) -> None:
    """Make room for one more token: revoke those beyond the bound that were used longest ago.

    Nobody is refused for it: who logs in at each run of a program and never out can't know better.
    """
    live = Token.objects.filter(user=user, revoked_at__isnull=True)
    latest = live.order_by(Coalesce("last_used_at", "created_at").desc(), "-pk")
    beyond = list(latest.values_list("pk", flat=True)[settings.TOKENS_PER_USER - 1 :])
    if beyond:
        revoke(Token.objects.filter(pk__in=beyond))


def _issue(user: User) -> str:
    token = tokens.new_token()
    days = settings.TOKEN_LIFETIME_DAYS
    Token.objects.create(
        user=user,
        digest=tokens.digest(token),
        expires_at=Now() + timedelta(days=days) if days else None,
    )
    return token
