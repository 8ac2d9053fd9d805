"""Reads: users, tokens, blocks."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from accounts.models import Block, Token, User
from common.errors import NotFound


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """Who may come in by a token, and until when (None: for ever)."""

    user_id: UUID
    expires_at: datetime | None


def token_holder(digest: bytes) -> TokenHolder | None:
    """Return the holder of a token that is neither revoked nor expired, of a user not banned."""
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


def display_names(user_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Return what users are called, by id."""
    return dict(User.objects.filter(pk__in=user_ids).values_list("pk", "display_name"))


def blocks_of(user_id: UUID) -> QuerySet[Block]:
    """Return whom a user blocks."""
    return Block.objects.filter(blocker_id=user_id)
