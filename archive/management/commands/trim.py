"""`manage.py trim`: takes out of the database what cold storage holds for everyone."""

from typing import Any

from archive.commands import ArchiveCommand
from archive.trim import trim


class Command(ArchiveCommand):
    """Trim."""

    help = (
        "Delete from the database the messages beyond the last DB_MESSAGES_PER_CHAT of each chat "
        "whose hour has ended, after reading back the objects of everyone who could see them. "
        "They stay readable from cold storage. Run a backup before it."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Trim."""
        self.finish(
            lambda shower: trim(dry_run=options["dry_run"], shower=shower), as_json=options["json"]
        )
