"""Reads: users, tokens, blocks."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from accounts import names
from accounts.models import Block, Token, User
from common.database import drop_dead_connection
from common.errors import NotFound
from common.ids import parse_id

# A search for a user's rows looks at the rows of so many users whose names fit.
SEARCH_MAX_USERS = 100


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """Who may come in by a token, and until when (None: for ever)."""

    user_id: UUID
    expires_at: datetime | None


def token_holder(digest: bytes) -> TokenHolder | None:
    """Return the holder of a token that is neither revoked nor expired, of a user not banned."""
    drop_dead_connection()
    row = (
        Token.objects.filter(
            Q(expires_at__isnull=True) | Q(expires_at__gt=Now()),
            digest=digest,
            revoked_at__isnull=True,
            user__is_active=True,
        )
        .values_list("user_id", "expires_at")
        .first()
    )
    return TokenHolder(*row) if row else None


def tokens_revoked_since(moment: datetime) -> list[bytes]:
    """Return the digests of the tokens revoked at or after a moment of the database's clock.

    `revoked_at` is the revoking statement's start: a commit may come later by as much as a
    transaction may take, so a caller that goes on from its last call overlaps by that much.
    """
    digests = Token.objects.filter(revoked_at__gte=moment).values_list("digest", flat=True)
    return [bytes(digest) for digest in digests]


def user_by_id(user_id: UUID, *, field: str | None = None) -> User:
    """Return a user, banned or not; raise NotFound, which names the field the id came in."""
    try:
        return User.objects.get(pk=user_id)
    except User.DoesNotExist:
        raise NotFound("There is no user by that id.", field=field) from None


def username_taken(username: str) -> bool:
    """Whether a user has the name, in any case or compatibility form."""
    return User.objects.filter(username_key=names.key(username)).exists()


def search_users(users: QuerySet[User], text: str) -> QuerySet[User]:
    """Return those users whose name begins with a text, or whose id it is. By index, both."""
    text = text.strip()
    user_id = parse_id(text)
    if user_id is not None:
        return users.filter(pk=user_id)
    # Lone surrogates and U+0000 can't be sent to PostgreSQL, and are in no name.
    if "\x00" in text or not text.isprintable():
        return users.none()
    return users.filter(username_key__startswith=names.key(text)) if text else users


def display_names(user_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Return what users are called, by id."""
    return dict(User.objects.filter(pk__in=user_ids).values_list("pk", "display_name"))


def blocks_of(user_id: UUID) -> QuerySet[Block]:
    """Return whom a user blocks."""
    return Block.objects.filter(blocker_id=user_id)
