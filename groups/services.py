"""What can be done to a group: one function per verb, each one transaction.

Every change holds the chat's row first (`FOR NO KEY UPDATE`), then touches memberships; so a
group's changes and its messages have one order, that of their seqs. No other row is locked.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import Block, User
from common.errors import Conflict, Forbidden, NotFound
from common.ids import new_id
from groups.changes import check_not_frozen, end_membership, hold, member_of, set_role
from groups.selectors import Group, group_of
from messaging.models import Chat, Membership
from messaging.services import Blocked, Sent, append_system, send_text

Role = Membership.Role


class GroupFull(Conflict):
    """The group has as many members as a group may have."""

    default_code = "group_full"
    default_detail = "The group is full. Remove somebody first, or open another group."


class NotAllowed(Forbidden):
    """The caller is a member, but their role does not let them do this."""

    default_code = "role_too_low"
    default_detail = "Your role in this group does not let you do this."


@dataclass(frozen=True, slots=True)
class Member:
    """A membership as the API shows it."""

    group_id: UUID
    user_id: UUID
    role: str
    joined_at: Any


def create_group(*, owner_id: UUID, name: str, member_ids: Iterable[UUID] = ()) -> Group:
    """Create a group of the owner and the named users, who see it from its first message on.

    Raises NotFound for a user that is none, Blocked when one of them blocks the owner, GroupFull;
    then nothing is created.
    """
    named = sorted(set(member_ids) - {owner_id})
    if len(named) + 1 > settings.GROUP_MAX_MEMBERS:
        raise GroupFull(field="member_ids")
    with transaction.atomic():
        if User.objects.filter(pk__in=named).count() != len(named):
            raise NotFound("One of these users does not exist.", field="member_ids")
        _check_blocks(owner_id, named, field="member_ids")
        owner = User.objects.only("username").get(pk=owner_id)
        chat = Chat(
            id=new_id(),
            kind=Chat.Kind.GROUP,
            name=name,
            member_count=len(named) + 1,
            wide_from=1 if len(named) + 1 > settings.FANOUT_MAX_MEMBERS else None,
        )
        chat.save(force_insert=True)
        chat.refresh_from_db(fields=["number", "created_at"])
        now = timezone.now()
        Membership.objects.bulk_create(
            Membership(
                chat=chat,
                user_id=user_id,
                role=Role.OWNER if user_id == owner_id else Role.MEMBER,
                first_seq=1,
                joined_at=now,
            )
            for user_id in (owner_id, *named)
        )
        append_system(
            chat=chat,
            actor_id=owner_id,
            text=f"{owner.username} created the group.",
            moved=(owner_id, *named) if chat.wide else (),
        )
    return group_of(chat, owner_id)


def add_user_to_group(*, actor_id: UUID, group_id: UUID, user_id: UUID) -> tuple[Member, bool]:
    """Make a user a member; return the membership and whether it is new.

    Owner and admins only (NotAllowed). Raises NotFound, Blocked, Frozen, GroupFull.
    """
    with transaction.atomic():
        chat, actor = _hold(group_id, actor_id)
        if actor.role not in (Role.OWNER, Role.ADMIN):
            raise NotAllowed
        user = _user(user_id)
        standing = member_of(chat, user_id)
        if standing is not None:
            return _shown(standing), False
        check_not_frozen(chat)
        _check_blocks(actor_id, [user_id], field="user_id")
        if chat.member_count >= settings.GROUP_MAX_MEMBERS:
            raise GroupFull
        chat.member_count += 1
        widens = not chat.wide and chat.member_count > settings.FANOUT_MAX_MEMBERS
        if widens:
            chat.wide_from = chat.last_seq + 1
        chat.save(update_fields=["member_count", "wide_from"])
        # Who is told of messages one by one must learn that they have to ask from now on.
        moved = _member_ids(chat) if widens else []
        seq, sent_at = append_system(
            chat=chat,
            actor_id=actor_id,
            subject_id=user_id,
            text=f"{actor.user.username} added {user.username}.",
            moved=[*moved, user_id],
        )
        member = Membership.objects.create(
            chat=chat, user=user, role=Role.MEMBER, first_seq=seq, joined_at=sent_at
        )
    return _shown(member), True


def remove_user_from_group(*, actor_id: UUID, group_id: UUID, user_id: UUID) -> Member:
    """End a user's membership; return it as it was. Their last message is the one that says so.

    The owner removes anyone, an admin members, anyone themself (else NotAllowed). An owner who
    leaves hands the group to the longest-standing admin, else member. Raises NotFound for a user
    who is no member, Frozen where moderators let members do no more than leave.
    """
    with transaction.atomic():
        chat, actor = _hold(group_id, actor_id)
        member = actor if user_id == actor_id else member_of(chat, user_id)
        if member is None:
            if actor.role == Role.MEMBER:
                raise NotAllowed
            raise NotFound("This user is not a member of the group.", field="user_id")
        leaves = member is actor
        if not leaves and not _may_remove(actor, member):
            raise NotAllowed
        if not leaves:
            check_not_frozen(chat)
        shown = _shown(member)
        who = actor.user.username
        text = f"{who} left." if leaves else f"{who} removed {member.user.username}."
        end_membership(member, chat=chat, actor_id=actor_id, text=text)
    return shown


def set_group_role(*, actor_id: UUID, group_id: UUID, user_id: UUID, role: str) -> Member:
    """Give a member a role; `owner` hands the group over and leaves the former owner an admin.

    The owner only, and not to themself (NotAllowed). Raises NotFound for who is no member, Frozen.
    """
    with transaction.atomic():
        chat, actor = _hold(group_id, actor_id)
        if actor.role != Role.OWNER:
            raise NotAllowed
        member = member_of(chat, user_id)
        if member is None:
            raise NotFound("This user is not a member of the group.", field="user_id")
        if member.role == role:
            return _shown(member)
        if user_id == actor_id:
            raise NotAllowed(
                "An owner can't demote themself. Make another member the owner.", field="role"
            )
        check_not_frozen(chat)
        if role == Role.OWNER:
            set_role(actor, Role.ADMIN)
        set_role(member, role)
        article = "the" if role == Role.OWNER else "an" if role == Role.ADMIN else "a"
        append_system(
            chat=chat,
            actor_id=actor_id,
            subject_id=user_id,
            text=f"{actor.user.username} made {member.user.username} {article} {role}.",
        )
    return _shown(member)


def send_message_to_group(
    *, sender_id: UUID, group_id: UUID, text: str, client_id: str | None = None
) -> Sent:
    """Send a text into a group. Raises NotFound unless the sender is a member, ClientIdTaken."""
    return send_text(sender_id=sender_id, chat_id=group_id, text=text, client_id=client_id)


def _hold(group_id: UUID, actor_id: UUID) -> tuple[Chat, Membership]:
    """Lock a group's row and return it with the caller's membership; raises NotFound."""
    chat = hold(group_id)
    actor = member_of(chat, actor_id)
    if actor is None:
        raise NotFound(field="group_id")
    return chat, actor


def _member_ids(chat: Chat) -> list[UUID]:
    return list(
        Membership.objects.filter(chat=chat, last_seq=None).values_list("user_id", flat=True)
    )


def _user(user_id: UUID) -> User:
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        raise NotFound("There is no such user.", field="user_id")
    return user


def _check_blocks(actor_id: UUID, user_ids: Iterable[UUID], *, field: str) -> None:
    """Raise Blocked when one of the users blocks the caller: they can't be put in a group."""
    if Block.objects.filter(blocker__in=list(user_ids), blocked=actor_id).exists():
        raise Blocked(field=field)


def _may_remove(actor: Membership, member: Membership) -> bool:
    return actor.role == Role.OWNER or (actor.role == Role.ADMIN and member.role == Role.MEMBER)


def _shown(member: Membership) -> Member:
    return Member(member.chat_id, member.user_id, member.role, member.joined_at)
