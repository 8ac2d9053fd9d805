"""Who is staff, and as what, and whose account ends: by superusers or on the command line."""

from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction

from accounts.models import User
from accounts.rights import require_above, require_superuser
from accounts.standing import ban_user
from archive.erase import erase_user
from audit import actors
from audit.actors import Actor
from audit.models import Action
from audit.services import record
from moderation.roles import Role


def grant_role(*, user: User, role: Role, reason: str = "", by: Actor | None = None) -> bool:
    """Give a user a role; return False when they had it. Raises NotYours, NotToThem."""
    return _change(user, role, True, reason, by or actors.current())


def take_role(*, user: User, role: Role, reason: str = "", by: Actor | None = None) -> bool:
    """Take a role from a user; return False when they had it not. Raises NotYours, NotToThem.

    Whoever has no role and no right of their own left is no staff any more.
    """
    return _change(user, role, False, reason, by or actors.current())


def erase_account(*, user: User, reason: str, by: Actor | None = None) -> dict[str, Any]:
    """Shut and anonymise an account and delete its archive, see `archive.erase`; report.

    The entry in the audit log and the ban are committed first; after a crash, do it again. Raises
    NotYours, NotToThem.
    """
    by = by or actors.current()
    require_superuser(by)
    require_above(by, user)
    with transaction.atomic():
        ban_user(user=user, reason=reason, by=by)
        record(Action.ERASE_USER, by=by, target=user, reason=reason)
    return erase_user(user_id=user.pk)


def roles_of(user: User) -> list[str]:
    """Return a user's roles by name."""
    names = set(user.groups.values_list("name", flat=True)) & set(Role.values)
    return sorted(names | ({Role.SUPERUSER.value} if user.is_superuser else set()))


def _change(user: User, role: Role, give: bool, reason: str, by: Actor) -> bool:
    require_superuser(by)
    require_above(by, user)
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        before = roles_of(user)
        if (role.value in before) == give:
            return False
        if role == Role.SUPERUSER:
            user.is_superuser = give
        elif give:
            user.groups.add(Group.objects.get_or_create(name=role.value)[0])
        else:
            user.groups.remove(*user.groups.filter(name=role.value))
        user.is_staff = user.is_superuser or user.groups.exists() or user.user_permissions.exists()
        user.save(update_fields=["is_superuser", "is_staff"])
        record(
            Action.CHANGE_ROLE,
            by=by,
            target=user,
            reason=reason,
            before={"roles": before},
            after={"roles": roles_of(user)},
        )
    return True
