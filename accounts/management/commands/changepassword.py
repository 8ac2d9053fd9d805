"""`manage.py changepassword`: Django's, through the service that ends tokens and records it."""

import getpass
from typing import Any

from django.contrib.auth.management.commands import changepassword
from django.core.management.base import CommandError, CommandParser
from rest_framework.exceptions import ValidationError

from accounts import names, services
from accounts.models import User

TRIES = 3


class Command(changepassword.Command):
    """Sets a user's password; whoever was logged in as them is not any more."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what Django's takes, and why."""
        super().add_arguments(parser)
        parser.add_argument("--reason", default="", help="kept in the audit log")

    def handle(self, *args: Any, **options: Any) -> str:
        """Ask for the password twice, three times at most."""
        name = options["username"] or getpass.getuser()
        user = User.objects.filter(username_key=names.key(name)).first()
        if user is None:
            raise CommandError(f"there is no user {name!r}")
        self.stdout.write(f"Changing password for user '{user}'")
        for _ in range(TRIES):
            password = getpass.getpass("Password: ")
            if password != getpass.getpass("Password (again): "):
                self.stderr.write("Passwords do not match. Please try again.")
                continue
            if not password:
                raise CommandError("aborted")
            try:
                services.reset_password(user=user, password=password, reason=options["reason"])
            except ValidationError as error:
                for told in error.detail["password"]:  # type: ignore[call-overload]
                    self.stderr.write(str(told))
                continue
            return (
                f"Password changed successfully for user '{user}'; they are logged out everywhere"
            )
        raise CommandError(f"the password of {user} is as before, after {TRIES} attempts")
