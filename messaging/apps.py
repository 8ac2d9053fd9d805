"""App config."""

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate


def ensure_log_state(sender: Any, using: str, **kwargs: Any) -> None:
    """Make the one row that every send and poll reads, where a migration or a flush left none."""
    from messaging.models import LogState  # noqa: PLC0415 models load after this module

    if LogState._meta.db_table in connections[using].introspection.table_names():
        LogState.objects.using(using).get_or_create(pk=1)


class MessagingConfig(AppConfig):
    """The log, its tiers and the inbox."""

    name = "messaging"

    def ready(self) -> None:
        """Have the log's state made where Django makes its own rows."""
        post_migrate.connect(ensure_log_state, sender=self)
