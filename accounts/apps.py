"""App config."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who: users, tokens, blocks."""

    name = "accounts"
