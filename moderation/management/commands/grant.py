"""`manage.py grant`: makes somebody a moderator, an operator or a superuser, or no more."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts import names
from accounts.models import User
from moderation.access import grant_role, roles_of, take_role
from moderation.roles import Role


class Command(BaseCommand):
    """Grant."""

    help = (
        "Give a user a role, or take it with --revoke. Exits 0 when they have it then (or not), 1 "
        "when there is no such user, 2 on wrong use."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whom and what."""
        parser.add_argument("username")
        parser.add_argument("--role", choices=Role.values, required=True)
        parser.add_argument("--revoke", action="store_true", help="take the role")
        parser.add_argument("--reason", default="", help="why, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        """Grant."""
        user = User.objects.filter(username_key=names.key(options["username"])).first()
        if user is None:
            self.stderr.write(f"grant: nobody is called {options['username']}.")
            sys.exit(1)
        act = take_role if options["revoke"] else grant_role
        act(user=user, role=Role(options["role"]), reason=options["reason"])
        user.refresh_from_db()
        self.stdout.write(f"{user.username}: {', '.join(roles_of(user)) or 'no role'}")
