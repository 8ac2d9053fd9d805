"""The steps that changes of a group are made of. Each needs the chat's row held."""

from uuid import UUID

from django.db.models import Case, IntegerField, Value, When

from common.errors import NotFound
from messaging.models import Chat, Membership
from messaging.services import Frozen, append_system

Role = Membership.Role


def hold(group_id: UUID) -> Chat:
    """Lock a group's row and return it; raises NotFound."""
    chat = (
        Chat.objects.select_for_update(no_key=True)
        .filter(pk=group_id, kind=Chat.Kind.GROUP)
        .first()
    )
    if chat is None:
        raise NotFound(field="group_id")
    return chat


def member_of(chat: Chat, user_id: UUID) -> Membership | None:
    """Return a user's membership while it lasts."""
    return (
        Membership.objects.filter(chat=chat, user=user_id, last_seq=None)
        .select_related("user")
        .first()
    )


def check_not_frozen(chat: Chat) -> None:
    """Raise Frozen where moderators let nobody change the group."""
    if chat.frozen_at is not None:
        raise Frozen


def end_membership(member: Membership, *, chat: Chat, actor_id: UUID, text: str) -> None:
    """End a membership with the entry that says so; an owner's group goes to its heir."""
    heir = _heir(chat, member.user_id) if member.role == Role.OWNER else None
    member.left_owner_id = _owner(chat)
    chat.member_count -= 1
    chat.save(update_fields=["member_count"])
    seq, sent_at = append_system(
        chat=chat, actor_id=actor_id, subject_id=member.user_id, text=text, moved=[member.user_id]
    )
    member.last_seq, member.left_at = seq, sent_at
    member.save(update_fields=["last_seq", "left_at", "left_owner_id"])
    if heir is not None:
        set_role(heir, Role.OWNER)
        append_system(
            chat=chat,
            actor_id=actor_id,
            subject_id=heir.user_id,
            text=f"{heir.user.username} is the owner now.",
        )


def set_role(member: Membership, role: str) -> None:
    """Give a member a role."""
    member.role = role
    member.save(update_fields=["role"])


def _owner(chat: Chat) -> UUID | None:
    """Return who owns a group."""
    owner = Membership.objects.filter(chat=chat, last_seq=None, role=Role.OWNER)
    return owner.values_list("user_id", flat=True).first()


def _heir(chat: Chat, leaving: UUID) -> Membership | None:
    """Return who is to own a group after its owner: the longest-standing admin, else member."""
    rank = Case(When(role=Role.ADMIN, then=Value(0)), default=Value(1), output_field=IntegerField())
    return (
        Membership.objects.filter(chat=chat, last_seq=None)
        .exclude(user=leaving)
        .select_related("user")
        .order_by(rank, "joined_at", "pk")
        .first()
    )
