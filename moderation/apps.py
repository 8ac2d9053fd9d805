"""App config."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


def ensure_roles(sender: Any, using: str, **kwargs: Any) -> None:
    """Make the roles and their rights, where a migration or a flush left others."""
    from moderation.roles import sync_roles  # noqa: PLC0415 models load after this module

    sync_roles(using=using)


class ModerationConfig(AppConfig):
    """Reports, cases, roles and broken glass."""

    name = "moderation"

    def ready(self) -> None:
        """Have the roles made where Django makes its permissions."""
        post_migrate.connect(ensure_roles, sender=self)
