"""App config."""

from django.apps import AppConfig


class MessagingConfig(AppConfig):
    """The core: chats, memberships, messages; the tiers, the cursor, the inbox."""

    name = "messaging"
