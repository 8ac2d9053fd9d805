"""App config."""

from django.apps import AppConfig


class MessagingConfig(AppConfig):
    """The log, its tiers and the inbox."""

    name = "messaging"
