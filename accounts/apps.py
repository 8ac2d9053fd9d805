"""App config."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who: users, tokens, blocks."""

    name = "accounts"

    def ready(self) -> None:
        """Make the tokens known to the OpenAPI document."""
        from accounts import schema  # noqa: F401, PLC0415 - registers itself when imported
