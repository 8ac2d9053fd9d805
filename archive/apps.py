"""App config."""

from django.apps import AppConfig


class ArchiveConfig(AppConfig):
    """The cold tier."""

    name = "archive"

    def ready(self) -> None:
        """Have the check of the audit log ask the bucket what it was told of the log."""
        from archive import anchors  # noqa: PLC0415 models load after this module
        from audit.anchors import offer  # noqa: PLC0415

        offer(anchors.seen)
