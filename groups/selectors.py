"""Reads that answer a question about groups."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery

from common.errors import NotFound
from messaging.models import Chat, Membership


@dataclass(frozen=True, slots=True)
class Group:
    """A group as the API shows it."""

    group_id: UUID
    name: str
    owner_id: UUID | None
    member_count: int
    created_at: datetime


def _with_owner(groups: QuerySet[Chat]) -> QuerySet[Chat]:
    owner = Membership.objects.filter(
        chat=OuterRef("pk"), last_seq=None, role=Membership.Role.OWNER
    ).values("user")
    return groups.filter(kind=Chat.Kind.GROUP).annotate(owner_id=Subquery(owner))


def groups_of(user_id: UUID) -> QuerySet[Chat]:
    """Return the groups that a user is a member of, each with its `owner_id`."""
    open_ = Membership.objects.filter(chat=OuterRef("pk"), user=user_id, last_seq=None)
    return _with_owner(Chat.objects.filter(Exists(open_)))


def group_seen_by(group_id: UUID, user_id: UUID) -> Group:
    """Return a group that a user is or has been in, for who left it as it was when they left.

    Raises NotFound for any other. Who owned a group that was left before this was noted is None.
    """
    mine = Membership.objects.filter(chat=group_id, user=user_id)
    group = _with_owner(Chat.objects.filter(pk=group_id)).first()
    last = mine.order_by(F("last_seq").desc(nulls_first=True)).first()
    if group is None or last is None:
        raise NotFound
    seen = shown(group)
    if last.last_seq is None:
        return seen
    stayed = Membership.objects.filter(
        Q(last_seq=None) | Q(last_seq__gt=last.last_seq),
        chat=group_id,
        first_seq__lte=last.last_seq,
    )
    return replace(seen, owner_id=last.left_owner_id, member_count=stayed.count())


def members_of(group_id: UUID, *, seen_by: UUID) -> QuerySet[Membership]:
    """Return a group's members; raises NotFound unless the caller is one of them."""
    members = Membership.objects.filter(
        chat=group_id, chat__kind=Chat.Kind.GROUP, last_seq=None
    ).select_related("user")
    if not members.filter(user=seen_by).exists():
        raise NotFound
    return members


def group_of(chat: Chat, owner_id: UUID | None) -> Group:
    """Return a group as the API shows it, of its chat."""
    return Group(chat.pk, chat.name, owner_id, chat.member_count, chat.created_at)


def shown(chat: Any) -> Group:
    """Return a group as the API shows it, of a chat that a selector here has returned."""
    return group_of(chat, chat.owner_id)
