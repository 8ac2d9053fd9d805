"""`manage.py restore`: brings back what the bucket holds."""

import argparse
import sys
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from archive.commands import ArchiveCommand
from archive.restore import NothingToRestore, restore
from common.ids import parse_id


def id_argument(text: str) -> UUID:
    """Return the id that a text names."""
    value = parse_id(text)
    if value is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no id")
    return value


class Command(ArchiveCommand):
    """Restore."""

    help = (
        "Bring back a chat, the chats of a user, or everything from the bucket alone, into an "
        "empty or a partly filled database that has been migrated. What is there already stays; "
        "what contradicts it is reported. May be run again after it was interrupted. Afterwards "
        "clients start anew, and people log in anew."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to restore."""
        super().add_arguments(parser)
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--chat", type=id_argument, help="the messages of this chat")
        what.add_argument("--user", type=id_argument, help="the chats of this user")
        what.add_argument("--all", action="store_true", help="everything")

        parser.add_argument(
            "--unsigned",
            action="store_true",
            help="also take what no key of ARCHIVE_KEY signed: anybody who could write to the "
            "bucket may have made it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Restore."""
        try:
            self.finish(
                lambda shower: restore(
                    chat_id=options["chat"],
                    user_id=options["user"],
                    dry_run=options["dry_run"],
                    unsigned=options["unsigned"],
                    shower=shower,
                ),
                as_json=options["json"],
            )
        except NothingToRestore:
            self.stderr.write("restore: the bucket holds no such thing, or no whole snapshot.")
            sys.exit(1)
