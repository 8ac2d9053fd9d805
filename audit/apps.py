"""App config."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The audit log."""

    name = "audit"
    verbose_name = "Audit log"

    def ready(self) -> None:
        """Have what Django itself reports (logins, its admin's own log) recorded too."""
        from audit import watching  # noqa: PLC0415 models load after this module

        watching.connect()
