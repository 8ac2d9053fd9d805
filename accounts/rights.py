"""Who may do something to whom: asked by the services, so that every door has the same lock.

A command or a task is run by whoever runs the servers and may do everything. A user may do what
their role's permissions say; the staff is touched by superusers alone, and nobody by themself.
"""

from uuid import UUID

from accounts.models import User
from audit.actors import Actor
from audit.models import ActorKind
from common.errors import Forbidden

_OF_THE_SERVERS = (ActorKind.COMMAND, ActorKind.TASK)


class NotYours(Forbidden):
    """The actor's role does not let them do this."""

    default_code = "role_too_low"
    default_detail = "Your role does not let you do this."


class NotToThem(Forbidden):
    """The actor may do this, but not to this user."""

    default_code = "not_to_them"
    default_detail = "This can't be done to yourself, and to the staff by superusers alone."
    field = "user_id"


def may(by: Actor, permission: str) -> bool:
    """Whether an actor has a permission, named as Django does: `accounts.change_user`."""
    if by.kind in _OF_THE_SERVERS:
        return True
    user = by.user
    return bool(user and user.is_active and user.is_staff and user.has_perm(permission))


def require(by: Actor, permission: str) -> None:
    """Raise NotYours unless the actor has a permission."""
    if not may(by, permission):
        raise NotYours


def require_superuser(by: Actor) -> None:
    """Raise NotYours unless the actor runs the servers or is a superuser."""
    if by.kind in _OF_THE_SERVERS:
        return
    if not (by.user and by.user.is_active and by.user.is_superuser):
        raise NotYours


def above(by: Actor, user: User) -> bool:
    """Whether an actor stands above a user: never above themself, nor but for superusers, staff."""
    if by.kind in _OF_THE_SERVERS:
        return True
    if by.id is None or by.id == user.pk:
        return False
    return bool(by.user and by.user.is_superuser) or not (user.is_staff or user.is_superuser)


def require_above(by: Actor, user: User) -> None:
    """Raise NotToThem unless the actor stands above the user."""
    if not above(by, user):
        raise NotToThem


def same(by: Actor, user_id: UUID | None) -> bool:
    """Whether the actor is that user."""
    return by.id is not None and by.id == user_id
