"""App config."""

from django.apps import AppConfig


class ArchiveConfig(AppConfig):
    """The cold tier."""

    name = "archive"

    def ready(self) -> None:
        """Have the check of the audit log and the sweeper ask the bucket what it was told."""
        from archive import anchors, bucket_mark  # noqa: PLC0415 models load after this module
        from audit.anchors import offer  # noqa: PLC0415
        from messaging.database_mark import Keeper, keepers  # noqa: PLC0415

        offer(anchors.seen)
        keepers.append(Keeper(bucket_mark.read, bucket_mark.write))
