"""The roles and the least rights that each needs; docs/moderation.md has them as a table."""

from typing import Any

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db import models


class Role(models.TextChoices):
    """What somebody of the staff is. A superuser may do everything, and so has no list."""

    MODERATOR = "moderator"
    OPERATOR = "operator"
    SUPERUSER = "superuser"


# No `messaging.view_message`: a moderator reads what is reported, what a group wrote, or what they
# have broken the glass for. No `accounts.reset_password`: who sets a password can log in with it.
RIGHTS: dict[Role, tuple[str, ...]] = {
    Role.MODERATOR: (
        "accounts.view_user",
        "accounts.change_user",
        "accounts.view_block",
        "accounts.delete_block",
        "accounts.view_token",
        "groups.view_group",
        "groups.change_group",
        "messaging.view_chat",
        "messaging.delete_message",
        "moderation.view_case",
        "moderation.change_case",
        "moderation.view_redaction",
        "moderation.view_breakglass",
        "moderation.add_breakglass",
    ),
    Role.OPERATOR: (
        "archive.view_backuprun",
        "archive.add_backuprun",
        "archive.view_retentionrun",
        "archive.add_retentionrun",
        "archive.view_drillrun",
        "archive.add_drillrun",
        "archive.view_erasure",
        "archive.view_export",
        "messaging.view_databasereset",
    ),
}


def sync_roles(*, using: str = "default") -> None:
    """Make each role's group have exactly its rights. Idempotent; after each migration."""
    wanted = {right for rights in RIGHTS.values() for right in rights}
    found = _permissions(wanted, using)
    if len(found) < len(wanted):
        # Apps that come later among the installed have not made theirs yet.
        for label in sorted({right.partition(".")[0] for right in wanted}):
            create_permissions(apps.get_app_config(label), verbosity=0, using=using)
        found = _permissions(wanted, using)
    for role, rights in RIGHTS.items():
        group, _ = Group.objects.using(using).get_or_create(name=role.value)
        ids = {found[right] for right in rights if right in found}
        if set(group.permissions.values_list("pk", flat=True)) != ids:
            group.permissions.set(ids)


def _permissions(wanted: set[str], using: str) -> dict[str, Any]:
    names = {right.partition(".")[2] for right in wanted}
    rows = Permission.objects.using(using).filter(codename__in=names)
    keyed = rows.values_list("content_type__app_label", "codename", "pk")
    return {f"{app}.{name}": pk for app, name, pk in keyed if f"{app}.{name}" in wanted}
