"""The project as a Django app, which is how its system checks get registered."""

from __future__ import annotations

from django.apps import AppConfig


class StrataConfig(AppConfig):
    """Registers the checks of the settings and the Celery application."""

    name = "config"
    label = "strata_config"
    verbose_name = "Strata"

    def ready(self) -> None:
        """Import what registers itself; the queue too, so that any process may send a task."""
        from config import celery, checks  # noqa: F401, PLC0415 - Django's own place for it
