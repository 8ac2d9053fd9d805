"""`manage.py drill`: proves that the newest backup can be restored."""

from typing import Any

from archive.commands import ArchiveCommand
from archive.drill import drill


class Command(ArchiveCommand):
    """Drill."""

    dry = False
    help = (
        "Restore the newest backup into a scratch database on the same server, compare it with the "
        "live one message by message, say what losing the database right now would cost, and drop "
        "the scratch database. Needs the right to create databases, and room for one more."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Drill."""
        self.finish(lambda shower: drill(shower=shower), as_json=options["json"])
