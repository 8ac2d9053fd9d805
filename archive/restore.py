"""Restore: from the bucket alone, into an empty or a partly filled database, as often as needed.

Accounts, blocks, chats and memberships come from the newest whole snapshot, messages from the
copies of everyone. A chat comes back in one transaction or not at all; what is there already stays
as it is, and what contradicts it is reported. At the end the epoch rises: clients start anew.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import DataError, IntegrityError, transaction

from archive import erase, ledger, manifests, snapshot
from archive.catalog import Catalog
from archive.hours import Damaged, hour_start
from archive.ledger import Ledger
from archive.merging import Contradiction
from archive.restore_chat import Listed, restore_chat
from archive.runs import Shower, Silent, Tally, side_by_side
from archive.signatures import Unsigned
from archive.sql import read_sql
from archive.steps import step
from archive.store import patient
from archive.threads import Crew
from common.database import rows
from common.errors import Unavailable
from messaging import database_mark
from messaging.database_mark import NoMark
from messaging.epoch import raise_epoch

_USERS = read_sql("restore_users.sql")
_BLOCKS = read_sql("restore_blocks.sql")
_CHATS = read_sql("restore_chats.sql")
_NUMBERS = (
    "SELECT setval('messaging_chat_number', greatest((SELECT max(number) FROM messaging_chat),"
    " nextval('messaging_chat_number')))"
)
PORTION = 5000


class NothingToRestore(Exception):
    """The bucket holds no whole snapshot, or nothing of that chat or user."""


class Selection:
    """The part of the newest snapshot that is to come back."""

    def __init__(
        self, hour: int, *, chat_id: UUID | None, user_id: UUID | None, unsigned: bool = False
    ) -> None:
        self.hour = hour
        self.unsigned = unsigned
        members = self._read("memberships")
        self.chats: set[str] | None = None
        self.users: set[str] | None = None
        if chat_id or user_id:
            self.chats = (
                {str(chat_id)}
                if chat_id
                else {row["chat_id"] for row in members if row["user_id"] == str(user_id)}
            )
            self.users = {
                row["user_id"] for row in self._read("memberships") if row["chat_id"] in self.chats
            } | ({str(user_id)} if user_id else set())

    def _read(self, table: str) -> Iterator[dict[str, Any]]:
        return snapshot.read(patient, self.hour, table, unsigned=self.unsigned)

    def portions(self, table: str) -> Iterator[list[dict[str, Any]]]:
        """Yield the chosen rows of a table, some at a time."""
        chosen = (row for row in self._read(table) if self._wants(table, row))
        while some := list(islice(chosen, PORTION)):
            yield some

    def _wants(self, table: str, row: dict[str, Any]) -> bool:
        if self.chats is None or self.users is None:
            return True
        if table == "users":
            return row["id"] in self.users
        if table == "blocks":
            return row["blocker_id"] in self.users and row["blocked_id"] in self.users
        return row["id" if table == "chats" else "chat_id"] in self.chats


def restore(
    *,
    chat_id: UUID | None = None,
    user_id: UUID | None = None,
    dry_run: bool = False,
    unsigned: bool = False,
    shower: Shower | None = None,
) -> dict[str, Any]:
    """Bring back one chat, all chats of a user, or everything; report.

    What is not signed by a key of the ring is named and left, unless `unsigned` asks for it.
    Raises NothingToRestore.
    """
    shower, tally = shower or Silent(), Tally()
    hour = snapshot.newest(patient, unsigned=unsigned)
    if hour is None:
        raise NothingToRestore
    selection = Selection(hour, chat_id=chat_id, user_id=user_id, unsigned=unsigned)
    if selection.chats is not None and not (selection.chats and selection.users):
        # No user of that id is in a chat, or nobody is in a chat of that id.
        raise NothingToRestore
    known = ledger.read(patient, unsigned=unsigned)
    known.expect(snapshot.numbers(patient, hour, unsigned=unsigned))
    base: dict[str, Any] = {
        "command": "restore",
        "snapshot": hour_start(hour).isoformat(),
        "manifests_until": known.until or "there are none",
    }
    with Catalog(hour) as catalog, Crew(settings.ARCHIVE_THREADS, "objects") as crew:
        if selection.chats is None or selection.users is None:
            catalog.add(patient, [""])
        else:
            wanted = {UUID(chat) for chat in selection.chats}
            catalog.add(patient, [f"{user}/" for user in sorted(selection.users)], wanted)
        for lacks in known.lacking:
            tally.fail("manifest", Unsigned(lacks))
        if dry_run:
            # What the bucket has, whatever the database has of it; to count messages is to read it.
            for table in ("users", "blocks", "memberships"):
                tally.add(**{table: sum(map(len, selection.portions(table)))})
            tally.add(chats=catalog.chats_count(), objects=catalog.objects_count())
            return {**base, "dry_run": True, **tally.report()}
        tally.add(users=0, blocks=0, chats=0, memberships=0, messages=0, damaged=0)
        _accounts_and_chats(selection, catalog, tally)
        _chats(catalog, crew, known, tally, shower)
    if selection.chats is None:
        base |= known.agreement()
    manifests.rebuild()
    tally.add(erased=erase.honour())
    seen = _epoch_seen()
    step("restore.honoured")
    with transaction.atomic():
        raise_epoch(beyond=seen)
        rows(_NUMBERS, ())
        step("restore.epoch")
    return {**base, **tally.report()}


def _epoch_seen() -> int:
    """Return the epoch that clients of the lost database had, as far as the bucket knows."""
    try:
        kept = database_mark.kept()
    except (Unavailable, NoMark):
        return 0
    return kept.epoch if kept else 0


def _chats(catalog: Catalog, crew: Crew, known: Ledger, tally: Tally, shower: Shower) -> None:
    """Bring back the chats that the catalog lists, side by side."""
    shower.total(catalog.listed_count())

    def act(item: Listed) -> None:
        try:
            restore_chat(catalog, item, crew, tally, known.trust)
        except (Contradiction, Damaged, DataError, IntegrityError) as error:
            # This chat's alone: the others may be fine.
            tally.fail(item, error)
        shower.advance(1)

    side_by_side((Listed(*one) for one in catalog.listed()), act, tally)
    for unknown in catalog.unlisted():
        tally.fail(f"chat {unknown}", Damaged("it has objects but is in no snapshot"))


def _accounts_and_chats(selection: Selection, catalog: Catalog, tally: Tally) -> None:
    """Bring back all but messages and memberships, at once.

    Were users there before their private chats, they could open others in their stead.
    """
    with transaction.atomic():
        for table, sql in (("users", _USERS), ("blocks", _BLOCKS), ("chats", _CHATS)):
            for portion in selection.portions(table):
                step(f"restore.{table}")
                added = rows(sql, {"rows": orjson.dumps(portion).decode()})
                if table == "chats":
                    catalog.add_chats(portion)
                else:
                    tally.add(**{table: len(added)})
    for portion in selection.portions("memberships"):
        catalog.add_members(portion)
