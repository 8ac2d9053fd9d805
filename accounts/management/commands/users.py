"""`manage.py users`: creates, lists, bans and unbans users, and revokes their tokens."""

import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone
from rest_framework.exceptions import APIException

from accounts import names, services
from accounts.models import User
from accounts.serializers import RegisterSerializer
from audit.models import Action
from audit.services import record
from common.times import rfc3339

LISTED = 100


class Command(BaseCommand):
    """One verb, mostly of one user; every change is recorded with the system's user who made it."""

    help = (
        "Create, list, ban and unban users, and revoke their tokens. Changes are in the audit log, "
        "with --reason. Exits 0 when it is so then, 1 when it can't be, 2 on wrong use."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take a verb, and what it needs."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="verb")
        create = verbs.add_parser("create", help="create a user")
        create.add_argument("--display-name")
        create.add_argument(
            "--password-stdin", action="store_true", help="read a password from the first line"
        )
        ban = verbs.add_parser("ban", help="shut a user out: tokens, sessions and logins")
        ban.add_argument("--days", type=int, help="the ban ends by itself after so many days")
        unban = verbs.add_parser("unban", help="let a banned user log in again")
        revoke = verbs.add_parser("revoke", help="end all tokens and sessions of a user")
        for verb in (create, ban, unban, revoke):
            verb.add_argument("username")
            verb.add_argument("--reason", default="", help="why, for the audit log")
        listing = verbs.add_parser("list", help="list users, the newest first")
        listing.add_argument("--banned", action="store_true", help="only who is banned")
        listing.add_argument("--staff", action="store_true", help="only who may use the admin")
        listing.add_argument("--limit", type=int, default=LISTED, help=f"so many; {LISTED}")
        for verb in (create, ban, unban, revoke, listing):
            verb.add_argument("--json", action="store_true", help="print one JSON line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, and print how the user or users stand then."""
        verbs: dict[str, Callable[[dict[str, Any]], Any]] = {
            "create": self.create,
            "ban": self.ban,
            "unban": self.unban,
            "revoke": self.revoke,
            "list": self.listed,
        }
        try:
            report = verbs[options["verb"]](options)
        except APIException as error:
            raise CommandError(" ".join(_sentences(error.detail))) from error
        if options["json"]:
            self.stdout.write(orjson.dumps(report).decode())
            return
        for user in report if isinstance(report, list) else [report]:
            self.stdout.write(_line(user))

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """Create a user, by the rules that hold for who registers."""
        sent = {"username": options["username"]}
        if options["display_name"] is not None:
            sent["display_name"] = options["display_name"]
        if options["password_stdin"]:
            sent["password"] = sys.stdin.readline().rstrip("\r\n")
        shape = RegisterSerializer(data=sent)
        shape.is_valid(raise_exception=True)
        with transaction.atomic():
            user = services.create_user(**shape.validated_data)
            record(Action.CREATE_USER, target=user, reason=options["reason"])
        return shown(User.objects.get(pk=user.pk))

    def ban(self, options: dict[str, Any]) -> dict[str, Any]:
        """Ban a user, for some days or for good."""
        days = options["days"]
        until = None if days is None else timezone.now() + timedelta(days=min(days, 36_500))
        user = services.ban_user(user=_user(options), reason=options["reason"], until=until)
        return shown(user)

    def unban(self, options: dict[str, Any]) -> dict[str, Any]:
        """Let a user in again."""
        return shown(services.unban_user(user=_user(options), reason=options["reason"]))

    def revoke(self, options: dict[str, Any]) -> dict[str, Any]:
        """End a user's tokens and sessions."""
        user = _user(options)
        count = services.revoke_tokens(user=user, reason=options["reason"])
        return shown(user) | {"revoked_tokens": count}

    def listed(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        """List users."""
        found = User.objects.order_by("-pk")
        if options["banned"]:
            found = found.filter(is_active=False)
        if options["staff"]:
            found = found.filter(is_staff=True)
        return [shown(user) for user in found[: max(options["limit"], 0)]]


def shown(user: User) -> dict[str, Any]:
    """Return how a user stands, as `--json` prints it."""
    return {
        "user_id": str(user.pk),
        "username": user.username,
        "display_name": user.display_name,
        "joined_at": rfc3339(user.date_joined),
        "staff": user.is_staff,
        "superuser": user.is_superuser,
        "banned": not user.is_active,
        "ban_reason": user.ban_reason,
        "banned_until": rfc3339(user.banned_until) if user.banned_until else None,
    }


def _line(user: dict[str, Any]) -> str:
    words = [user["user_id"], user["username"]]
    words += ["superuser"] if user["superuser"] else ["staff"] if user["staff"] else []
    if user["banned"]:
        until = f"until {user['banned_until']}" if user["banned_until"] else "for good"
        words.append(f"banned {until}")
    if "revoked_tokens" in user:
        words.append(f"{user['revoked_tokens']} tokens revoked")
    return "  ".join(words)


def _user(options: dict[str, Any]) -> User:
    user = User.objects.filter(username_key=names.key(options["username"])).first()
    if user is None:
        raise CommandError(f"there is no user {options['username']!r}")
    return user


def _sentences(detail: Any) -> list[str]:
    if isinstance(detail, dict):
        return [told for one in detail.values() for told in _sentences(one)]
    if isinstance(detail, list):
        return [told for one in detail for told in _sentences(one)]
    return [str(detail)]
