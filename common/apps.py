"""App config."""

from django.apps import AppConfig


class CommonConfig(AppConfig):
    """What every room shares."""

    name = "common"
