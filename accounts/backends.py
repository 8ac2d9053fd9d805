"""How browsers log in: Django's own way, but that a ban which has ended is one no more."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from accounts.models import User
from accounts.passwords import hash_for_nobody
from accounts.standing import unban_if_over


class UserBackend(ModelBackend):
    """Username and password."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """Return the user; each case hashes as often, so that the time tells nothing."""
        if username is None or password is None:
            return None
        try:
            user = User.objects.get_by_natural_key(username)
        except User.DoesNotExist:
            hash_for_nobody(password)
            return None
        right = user.check_password(password) and self.user_can_authenticate(user)
        return user if right else None

    def user_can_authenticate(self, user: Any) -> bool:
        """Let in whoever is not banned, or not any more."""
        if isinstance(user, User):
            unban_if_over(user)
        return super().user_can_authenticate(user)
