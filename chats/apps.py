"""App config."""

from django.apps import AppConfig


class ChatsConfig(AppConfig):
    """Private chats."""

    name = "chats"
