"""`manage.py backup`: brings what was sent into cold storage, hour by hour."""

import sys
from typing import Any

from django.core.management.base import CommandParser

from archive.backup import NotOver, backup
from archive.commands import ArchiveCommand, hour_argument


class Command(ArchiveCommand):
    """Back up."""

    help = (
        "Write every message sent before the last full hour into the prefix of every user who "
        "could see it, missed hours included, and the snapshot of users, blocks, chats and "
        "memberships. May be run at any time, any number at once. With --hour, up to the end of "
        "that hour, and what was written of that hour before is read and mended."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take `--hour` and `--now`."""
        super().add_arguments(parser)
        parser.add_argument(
            "--hour", type=hour_argument, help="up to the end of this hour, UTC: 2026-11-24T03"
        )
        parser.add_argument("--now", action="store_true", help="also the hour still running")

    def handle(self, *args: Any, **options: Any) -> None:
        """Back up."""
        try:
            self.finish(
                lambda shower: backup(
                    hour=options["hour"],
                    now=options["now"],
                    dry_run=options["dry_run"],
                    shower=shower,
                ),
                as_json=options["json"],
            )
        except NotOver:
            self.stderr.write("backup: that hour has not ended; add --now to take what it has.")
            sys.exit(2)
