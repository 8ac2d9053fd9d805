"""What moderators do to groups. In the log it is done by nobody: `THE_SERVICE`.

A moderator is no member, and their name is not the members' business; so a system message of theirs
has the service as its sender. Who it was is in the audit log.
"""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.rights import require, require_above
from audit import actors
from audit.actors import Actor
from audit.models import Action
from audit.services import Target, record
from common.errors import NotFound
from groups.changes import end_membership, hold, member_of
from messaging.models import Chat
from messaging.services import Returning, append_system

THE_SERVICE = UUID(int=0)
"""The `sender_id` of what no user did: an id that no user has."""


def freeze_group(*, group_id: UUID, reason: str, by: Actor | None = None) -> bool:
    """Let nobody write to a group or change who is in it; return False when it was frozen already.

    Reading and leaving go on. Raises NotYours, NotFound, Returning.
    """
    by = by or actors.current()
    require(by, "groups.change_group")
    with transaction.atomic():
        chat = _hold(group_id)
        if chat.frozen_at is not None:
            return False
        chat.frozen_at, chat.frozen_reason = timezone.now(), reason
        chat.save(update_fields=["frozen_at", "frozen_reason"])
        append_system(chat=chat, actor_id=THE_SERVICE, text="A moderator froze the group.")
        record(Action.FREEZE, by=by, target=_group(chat), reason=reason)
    return True


def unfreeze_group(*, group_id: UUID, reason: str, by: Actor | None = None) -> bool:
    """Let a group go on; return False when it was not frozen.

    Raises NotYours, NotFound, Returning.
    """
    by = by or actors.current()
    require(by, "groups.change_group")
    with transaction.atomic():
        chat = _hold(group_id)
        if chat.frozen_at is None:
            return False
        before = {"frozen_reason": chat.frozen_reason}
        chat.frozen_at, chat.frozen_reason = None, ""
        chat.save(update_fields=["frozen_at", "frozen_reason"])
        append_system(chat=chat, actor_id=THE_SERVICE, text="A moderator unfroze the group.")
        record(Action.UNFREEZE, by=by, target=_group(chat), reason=reason, before=before)
    return True


def remove_member(*, group_id: UUID, user_id: UUID, reason: str, by: Actor | None = None) -> bool:
    """End a user's membership of a group, whatever their role in it and though it is frozen.

    Returns False when they were no member any more; raises NotFound for who never was one,
    NotYours, Returning, NotToThem: the staff is removed by superusers alone, lest a moderator shut
    out who watches them.
    """
    by = by or actors.current()
    require(by, "groups.change_group")
    with transaction.atomic():
        chat = _hold(group_id)
        member = member_of(chat, user_id)
        if member is None:
            if not chat.memberships.filter(user=user_id).exists():
                raise NotFound("This user is not a member of the group.", field="user_id")
            return False
        require_above(by, member.user)
        role, name = member.role, member.user.username
        end_membership(member, chat=chat, actor_id=THE_SERVICE, text=f"A moderator removed {name}.")
        record(
            Action.REMOVE_MEMBER,
            by=by,
            target=Target("user", user_id, name),
            reason=reason,
            before={"group": str(group_id), "group_name": chat.name, "role": role},
        )
    return True


def _hold(group_id: UUID) -> Chat:
    """Lock a group's row and return it; raises NotFound, and Returning while it is restored.

    A group is made together with its first entry: one without any is about to get its own back,
    and an entry of ours would take the first one's place. Members can't do anything yet.
    """
    chat = hold(group_id)
    if not chat.last_seq:
        raise Returning
    return chat


def _group(chat: Chat) -> Target:
    return Target("group", chat.pk, chat.name)
