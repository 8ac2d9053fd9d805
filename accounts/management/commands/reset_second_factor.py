"""`manage.py reset_second_factor`: for who has lost their phone and their recovery codes."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import factors, names
from accounts.models import User


class Command(BaseCommand):
    """Takes a user's second factor away; where it is required, they set up another at login."""

    help = (
        "Take the second factor of a user's admin login away, as when their phone is lost. Their "
        "password stays; their sessions of the admin have to begin anew with it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take a name."""
        parser.add_argument("username")
        parser.add_argument("--reason", default="", help="kept in the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it and say so."""
        user = User.objects.filter(username_key=names.key(options["username"])).first()
        if user is None:
            raise CommandError(f"there is no user {options['username']!r}")
        if not factors.reset(user=user, reason=options["reason"]):
            raise CommandError(f"{user} has no second factor")
        self.stdout.write(f"{user} has no second factor any more\n")
