"""App config."""

from django.apps import AppConfig


class ArchiveConfig(AppConfig):
    """The cold tier."""

    name = "archive"
