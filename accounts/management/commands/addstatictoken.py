"""`manage.py addstatictoken`: django-otp's, whose code is kept as a digest, and recorded."""

from typing import Any

from django.core.management.base import CommandError
from django_otp.plugins.otp_static.management.commands import addstatictoken

from accounts import names
from accounts.factors import new_code
from accounts.models import RECOVERY_CODE_CHARS, RecoveryDevice, User
from audit.models import Action
from audit.services import record


class Command(addstatictoken.Command):  # type: ignore[misc] # the library brings no types
    """Adds a recovery code to a user and records it, not the code."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Add it and print it."""
        name, code = options["username"], options["token"] or new_code()
        user = User.objects.filter(username_key=names.key(name)).first()
        if user is None:
            raise CommandError(f"there is no user {name!r}")
        if len(code) != RECOVERY_CODE_CHARS or not (code.isascii() and code.isalnum()):
            raise CommandError(f"a recovery code has {RECOVERY_CODE_CHARS} letters and digits")
        code = code.lower()
        device, _ = RecoveryDevice.objects.get_or_create(user=user, defaults={"name": "recovery"})
        device.add(code)
        record(
            Action.SECOND_FACTOR, target=user, after={"second_factor": "a recovery code by command"}
        )
        self.stdout.write(code)
