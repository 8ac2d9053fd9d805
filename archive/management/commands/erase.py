"""`manage.py erase`: takes a message's text, or a user, out of everything that is kept."""

import sys
from typing import Any

from django.core.management.base import CommandParser

from archive.commands import ArchiveCommand
from archive.erase import erase_message, erase_user
from archive.management.commands.restore import id_argument
from common.errors import NotFound


class Command(ArchiveCommand):
    """Erase."""

    help = (
        "Take the text of a message out of the database, the cache and every member's copy (the "
        "message keeps its seq and becomes `removed`), or shut a user's account, take its name "
        "away and delete its archive; with --texts, what they wrote goes from everybody's copies "
        "too. There is no way back. What cannot be reached now, the next backup run finishes; "
        "may be run again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to erase."""
        super().add_arguments(parser)
        parser.add_argument("--chat", type=id_argument, help="the chat of the message")
        parser.add_argument("--seq", type=int, help="the message's seq")
        parser.add_argument("--user", type=id_argument, help="the user")
        parser.add_argument(
            "--texts",
            action="store_true",
            help="with --user: their texts go from other people's copies and groups too",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Erase."""
        chat, seq, user = options["chat"], options["seq"], options["user"]
        texts, dry_run = options["texts"], options["dry_run"]
        if (user is None) == (chat is None) or (chat is None) != (seq is None):
            self.stderr.write("erase: give --chat and --seq, or --user.")
            sys.exit(2)
        if texts and user is None:
            self.stderr.write("erase: --texts goes with --user.")
            sys.exit(2)
        try:
            self.finish(
                lambda _: (
                    erase_user(user_id=user, texts=texts, dry_run=dry_run)
                    if user
                    else erase_message(chat_id=chat, seq=seq, dry_run=dry_run)
                ),
                as_json=options["json"],
            )
        except NotFound as error:
            self.stderr.write(f"erase: {error.detail}")
            sys.exit(1)
