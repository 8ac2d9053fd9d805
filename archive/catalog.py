"""What the bucket holds, by chat and hour: keys begin with the user, so a listing must be turned.

Kept in a file, since there may be more objects than fit in memory. Written by one thread, read by
any.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from tempfile import NamedTemporaryFile
from typing import Any, Self
from uuid import UUID

import orjson

from archive.hours import parse_key
from archive.store import Store

PORTION = 10_000


class Catalog:
    """Hour objects by chat and hour."""

    def __init__(self, known_until: int) -> None:
        """Take the last hour of which it is known who could see what: the snapshot's."""
        self.known_until = known_until
        self._file = NamedTemporaryFile(prefix="strata-catalog-")  # noqa: SIM115 - closed below
        self._rows = sqlite3.connect(self._file.name, check_same_thread=False)
        self._rows.execute(
            "CREATE TABLE object (chat BLOB, hour INTEGER, user BLOB,"
            " PRIMARY KEY (chat, hour, user)) WITHOUT ROWID"
        )

        self._rows.execute("CREATE TABLE member (chat BLOB, row BLOB)")
        self._rows.execute("CREATE INDEX members_of_a_chat ON member (chat)")
        self._rows.execute("CREATE TABLE chat (id BLOB PRIMARY KEY, last INTEGER) WITHOUT ROWID")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._rows.close()
        self._file.close()

    def add(self, store: Store, prefixes: Iterable[str], only: set[UUID] | None = None) -> None:
        """Take in what lies below prefixes, of some chats only if that is said."""
        for prefix in prefixes:
            parsed = (parse_key(key) for key, _ in store.keys(prefix))
            named = (
                (chat.bytes, hour, user.bytes)
                for user, hour, chat in filter(None, parsed)
                if only is None or chat in only
            )
            while some := list(islice(named, PORTION)):
                self._rows.executemany("INSERT OR IGNORE INTO object VALUES (?, ?, ?)", some)

    def add_chats(self, chats: Iterable[dict[str, Any]]) -> None:
        """Take in which chats a snapshot has."""
        self._rows.executemany(
            "INSERT OR IGNORE INTO chat VALUES (?, ?)",
            ((UUID(chat["id"]).bytes, int(chat["last_seq"])) for chat in chats),
        )

    def add_members(self, members: Iterable[dict[str, Any]]) -> None:
        """Take in a snapshot's memberships."""
        self._rows.executemany(
            "INSERT INTO member VALUES (?, ?)",
            ((UUID(member["chat_id"]).bytes, orjson.dumps(member)) for member in members),
        )

    def listed(self) -> Iterator[tuple[UUID, int, list[dict[str, Any]]]]:
        """Yield the chats that the snapshot has, each with its last seq and its memberships."""
        for id_, last in self._rows.execute("SELECT id, last FROM chat ORDER BY id"):
            found = self._rows.execute("SELECT row FROM member WHERE chat = ?", (id_,))
            yield UUID(bytes=id_), last, [orjson.loads(row) for (row,) in found]

    def listed_count(self) -> int:
        """Return how many chats the snapshot has."""
        return int(self._rows.execute("SELECT count(*) FROM chat").fetchone()[0])

    def chats_count(self) -> int:
        """Return how many chats have objects."""
        return int(self._rows.execute("SELECT count(DISTINCT chat) FROM object").fetchone()[0])

    def objects_count(self) -> int:
        """Return how many objects there are."""
        return int(self._rows.execute("SELECT count(*) FROM object").fetchone()[0])

    def unlisted(self) -> Iterator[UUID]:
        """Yield the chats that have objects but are not in the snapshot."""
        found = self._rows.execute(
            "SELECT DISTINCT chat FROM object WHERE chat NOT IN (SELECT id FROM chat) ORDER BY chat"
        )
        return (UUID(bytes=chat) for (chat,) in found)

    def hours(self, chat_id: UUID) -> Iterator[tuple[int, list[UUID]]]:
        """Yield a chat's hours in order, each with the users who have an object of it."""
        found = self._rows.execute(
            "SELECT hour, user FROM object WHERE chat = ? ORDER BY hour, user", (chat_id.bytes,)
        )
        for hour, entries in groupby(found, lambda entry: int(entry[0])):
            yield hour, [UUID(bytes=user) for _, user in entries]
