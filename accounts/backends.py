"""How browsers log in: Django's own way, but that a ban which has ended is one no more."""

from typing import Any

from django.contrib.auth.backends import ModelBackend

from accounts.models import User
from accounts.standing import unban_if_over


class UserBackend(ModelBackend):
    """Username and password."""

    def user_can_authenticate(self, user: Any) -> bool:
        """Let in whoever is not banned, or not any more."""
        if isinstance(user, User):
            unban_if_over(user)
        return super().user_can_authenticate(user)
