"""App config."""

from django.apps import AppConfig


class OverviewConfig(AppConfig):
    """The dashboard's figures, noted each minute and never counted for a page."""

    name = "overview"
