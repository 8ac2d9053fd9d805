"""`manage.py purge`: ends the retention of hours that are old enough."""

from typing import Any

from django.core.management.base import CommandParser

from archive.commands import ArchiveCommand
from archive.purge import purge


class Command(ArchiveCommand):
    """Purge."""

    help = (
        "Delete the objects of hours that ended more than ARCHIVE_RETENTION_DAYS ago, and nothing "
        "younger. What has left the database by then is gone for good. Each run leaves a row that "
        "says what was due, went and stayed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take `--sweep`."""
        super().add_arguments(parser)
        parser.add_argument(
            "--sweep",
            action="store_true",
            help="list the bucket for objects that the index does not know, and remove those "
            "past retention",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Purge."""
        self.finish(
            lambda shower: purge(dry_run=options["dry_run"], sweep=options["sweep"], shower=shower),
            as_json=options["json"],
        )
