"""`manage.py archive_key`: the key without which the bucket can't be restored from."""

import secrets
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from archive import keys, signing
from archive.commands import shown
from archive.models import ArchiveKey
from archive.runs import Tally
from audit import actors
from audit.models import Action
from audit.services import Target, record
from common import archive_key

KEEP = "Keep this elsewhere, away from this machine and from the bucket: a restore needs both."


class Command(BaseCommand):
    """Says how the ring is, shows it, notes that it is kept elsewhere, or makes the next one."""

    help = (
        "Say which archive key signs, when it was confirmed as kept elsewhere, and whether objects "
        "still need an older one. Showing and confirming are recorded in the audit log."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to do."""
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--show", action="store_true", help="print the ring, to keep elsewhere")
        what.add_argument("--confirm", action="store_true", help="note that a copy is elsewhere")
        what.add_argument(
            "--sign",
            action="store_true",
            help="sign all objects that still need an older key, or have none, now",
        )
        what.add_argument(
            "--rotate",
            action="store_true",
            help="print a ring with a new key before those there are; changes nothing by itself",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        try:
            ring = archive_key.ring()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        if options["show"]:
            self._note(Action.KEY_SHOWN)
            self.stdout.write(f"ARCHIVE_KEY={','.join(ring)}\n{KEEP}\n")
        elif options["confirm"]:
            with transaction.atomic():
                key = keys.confirm(by=actors.process().name)
                self._note(Action.KEY_KEPT)
            self.stdout.write(f"The archive key {key} is kept elsewhere: noted.\n")
        elif options["sign"]:
            tally = Tally()
            signing.sign_some(tally, most=None)
            report = tally.report()
            self.stdout.write(f"{shown(report)}\n")
            if not report["ok"]:
                raise SystemExit(1)
        elif options["rotate"]:
            self.stdout.write(
                f"ARCHIVE_KEY={secrets.token_hex(32)},{','.join(ring)}\n{KEEP}\n"
                "Give it to every process and restart them. Backups then sign objects anew, some "
                "each hour; `archive_key` says when none needs the old key any more.\n"
            )
        else:
            self._say()

    def _note(self, action: Action) -> None:
        key_id = archive_key.current_id()
        record(action, by=actors.process(), target=Target("archive_key", key_id, key_id))

    def _say(self) -> None:
        known = {key.key_id: key for key in ArchiveKey.objects.all()}
        for number, key_id in enumerate(archive_key.ids()):
            key = known.get(key_id)
            at = key.confirmed_at if key else None
            kept = (
                f"kept elsewhere since {at:%Y-%m-%d}" if at else "NOT confirmed as kept elsewhere"
            )
            words = ["signs" if number == 0 else "verifies", kept]
            if number == 0:
                since = key.all_signed_at if key else None
                words.append(
                    f"on all objects since {since:%Y-%m-%d %H:%M}"
                    if since
                    else "not on all objects yet"
                )
            self.stdout.write(f"{key_id}: {', '.join(words)}\n")
