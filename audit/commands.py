"""Commands of Django's own that go past every service: they leave an entry of the audit log."""

from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError

from audit.models import Action
from audit.services import record
from common import context


class Recorded(BaseCommand):
    """Records that a command was run, with the system's user who did, before it begins.

    Goes before Django's command. What it is given stays out of the entry: a statement or a line of
    code may hold anything. Called by another command or a test, it is theirs to answer for.
    """

    def handle(self, *args: Any, **options: Any) -> Any:
        """Record it, then do as Django does."""
        name = type(self).__module__.rpartition(".")[2]
        if context.process.get("command") == name:
            try:
                record(Action.COMMAND, after={"command": name})
            except DatabaseError as error:
                # A standby, or tables of before the first migration: who mends them needs this.
                told = str(error).partition("\n")[0]
                self.stderr.write(f"this is not in the audit log, which takes no entry: {told}")
        return super().handle(*args, **options)
