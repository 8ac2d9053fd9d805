"""`manage.py addstatictoken`: django-otp's, with an entry in the audit log."""

from typing import Any

from django_otp.plugins.otp_static.management.commands import addstatictoken

from accounts.models import User
from audit.models import Action
from audit.services import record


class Command(addstatictoken.Command):  # type: ignore[misc] # the library brings no types
    """Adds a recovery code to a user and records it, not the code."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Do as django-otp does."""
        super().handle(*args, **options)
        user = User.objects.get_by_natural_key(options["username"])
        record(
            Action.SECOND_FACTOR, target=user, after={"second_factor": "a recovery code by command"}
        )
