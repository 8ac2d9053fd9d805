"""Reads that answer a question about chats and their members."""

from typing import Any
from uuid import UUID

from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    DateTimeField,
    Exists,
    F,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    When,
)
from django.db.models.functions import Coalesce, Greatest

from messaging.models import Chat, Membership


def _seen(user_id: UUID) -> dict[str, Any]:
    """Return the annotations that show chats as one user sees them."""
    mine = Membership.objects.filter(chat=OuterRef("pk"), user=user_id).order_by()
    # A stretch that has expired whole is none any more.
    held = mine.filter(Q(last_seq=None) | Q(last_seq__gte=OuterRef("start_seq")))
    begins = held.values("chat").annotate(value=Min("first_seq")).values("value")
    ends = mine.values("chat").annotate(value=Max("last_seq")).values("value")
    left = mine.values("chat").annotate(value=Max("left_at")).values("value")
    open_ = mine.filter(last_seq=None)
    return {
        "shown_name": Case(
            When(kind=Chat.Kind.GROUP, then=F("name")),
            When(low=user_id, then=F("high__display_name")),
            default=F("low__display_name"),
            output_field=CharField(),
        ),
        "start": Greatest(F("start_seq"), Subquery(begins), output_field=BigIntegerField()),
        "end": Case(
            When(Exists(open_), then=F("last_seq")),
            default=Coalesce(Subquery(ends), F("last_seq")),
            output_field=BigIntegerField(),
        ),
        "shown_last_at": Case(
            When(Exists(open_), then=F("last_at")),
            default=Subquery(left),
            output_field=DateTimeField(),
        ),
    }


def chats_of(user_id: UUID) -> QuerySet[Chat]:
    """Return the chats that a user is in, as they see them (`shown_name`, `start`, `end`)."""
    open_ = Membership.objects.filter(chat=OuterRef("pk"), user=user_id, last_seq=None)
    return Chat.objects.filter(Exists(open_)).annotate(**_seen(user_id))


def chats_ever_of(user_id: UUID) -> QuerySet[Chat]:
    """Return the chats that a user is or has been in, as they see them."""
    been = Membership.objects.filter(chat=OuterRef("pk"), user=user_id)
    return Chat.objects.filter(Exists(been)).annotate(**_seen(user_id))


def chat_seen_by(chat_id: UUID, user_id: UUID) -> Chat | None:
    """Return a chat that a user is or has been in, as they see it; None for any other."""
    return chats_ever_of(user_id).filter(pk=chat_id).first()


def memberships_of(user_id: UUID) -> QuerySet[Membership]:
    """Return a user's stretches of membership, open and closed."""
    return Membership.objects.filter(user=user_id)
