"""Where a client keeps what must outlive it: cursor, what was handled, what is still to send."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A text on its way: sent again under its client_id until the server has answered."""

    client_id: str
    path: str
    """`/send_message` or `/send_message_to_group`."""
    target: str
    """The recipient's or the group's id."""
    text: str


class Store(Protocol):
    """What a client needs kept. Each method is done, and lasting, when it returns."""

    def cursor(self) -> str | None:
        """Return the last cursor all of whose messages were handled."""

    def handled(self, chat_id: str) -> int:
        """Return the seq up to which a chat's messages were handled since that cursor."""

    def handle(self, chat_id: str, seq: int) -> None:
        """Note that a message was handled."""

    def advance(self, cursor: str) -> None:
        """Keep a cursor; the messages noted before are covered by it."""

    def forget(self) -> None:
        """Drop the cursor and the notes: the server's history was rolled back."""

    def put(self, outgoing: Outgoing) -> None:
        """Keep a text until `drop`; putting it again changes nothing."""

    def drop(self, client_id: str) -> None:
        """Let go of a text that the server has answered."""

    def outbox(self) -> list[Outgoing]:
        """Return the texts that are kept, oldest first."""


class MemoryStore:
    """A store that lasts as long as the process."""

    def __init__(self) -> None:
        self._cursor: str | None = None
        self._handled: dict[str, int] = {}
        self._outbox: dict[str, Outgoing] = {}

    def cursor(self) -> str | None:
        """Return the last cursor all of whose messages were handled."""
        return self._cursor

    def handled(self, chat_id: str) -> int:
        """Return the seq up to which a chat's messages were handled since that cursor."""
        return self._handled.get(chat_id, 0)

    def handle(self, chat_id: str, seq: int) -> None:
        """Note that a message was handled."""
        self._handled[chat_id] = seq

    def advance(self, cursor: str) -> None:
        """Keep a cursor; the messages noted before are covered by it."""
        self._cursor = cursor
        self._handled.clear()

    def forget(self) -> None:
        """Drop the cursor and the notes."""
        self._cursor = None
        self._handled.clear()

    def put(self, outgoing: Outgoing) -> None:
        """Keep a text until `drop`."""
        self._outbox.setdefault(outgoing.client_id, outgoing)

    def drop(self, client_id: str) -> None:
        """Let go of a text."""
        self._outbox.pop(client_id, None)

    def outbox(self) -> list[Outgoing]:
        """Return the texts that are kept, oldest first."""
        return list(self._outbox.values())


class SQLiteStore:
    """A store in a file, which survives the death of the process at any moment.

    What you write through `connection` while you handle a message is committed together with the
    note that it was handled: then your own tables, too, see each message exactly once.
    """

    def __init__(self, path: str | Path) -> None:
        self.connection = sqlite3.connect(path)
        self.connection.executescript(
            """
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = FULL;
            CREATE TABLE IF NOT EXISTS strata_cursor (
                one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT NOT NULL);
            CREATE TABLE IF NOT EXISTS strata_handled (
                chat_id TEXT PRIMARY KEY, seq INTEGER NOT NULL);
            CREATE TABLE IF NOT EXISTS strata_outbox (
                place INTEGER PRIMARY KEY AUTOINCREMENT, client_id TEXT NOT NULL UNIQUE,
                path TEXT NOT NULL, target TEXT NOT NULL, text TEXT NOT NULL);
            """
        )

    def cursor(self) -> str | None:
        """Return the last cursor all of whose messages were handled."""
        found = self.connection.execute("SELECT cursor FROM strata_cursor").fetchone()
        return found[0] if found else None

    def handled(self, chat_id: str) -> int:
        """Return the seq up to which a chat's messages were handled since that cursor."""
        found = self.connection.execute(
            "SELECT seq FROM strata_handled WHERE chat_id = ?", (chat_id,)
        ).fetchone()
        return found[0] if found else 0

    def handle(self, chat_id: str, seq: int) -> None:
        """Note that a message was handled, with all that was written meanwhile."""
        self.connection.execute(
            "INSERT INTO strata_handled VALUES (?, ?)"
            " ON CONFLICT (chat_id) DO UPDATE SET seq = excluded.seq",
            (chat_id, seq),
        )
        self.connection.commit()

    def advance(self, cursor: str) -> None:
        """Keep a cursor; the messages noted before are covered by it."""
        self.connection.execute("INSERT OR REPLACE INTO strata_cursor VALUES (1, ?)", (cursor,))
        self.connection.execute("DELETE FROM strata_handled")
        self.connection.commit()

    def forget(self) -> None:
        """Drop the cursor and the notes."""
        self.connection.execute("DELETE FROM strata_cursor")
        self.connection.execute("DELETE FROM strata_handled")
        self.connection.commit()

    def put(self, outgoing: Outgoing) -> None:
        """Keep a text until `drop`."""
        self.connection.execute(
            "INSERT OR IGNORE INTO strata_outbox (client_id, path, target, text)"
            " VALUES (?, ?, ?, ?)",
            (outgoing.client_id, outgoing.path, outgoing.target, outgoing.text),
        )
        self.connection.commit()

    def drop(self, client_id: str) -> None:
        """Let go of a text."""
        self.connection.execute("DELETE FROM strata_outbox WHERE client_id = ?", (client_id,))
        self.connection.commit()

    def outbox(self) -> list[Outgoing]:
        """Return the texts that are kept, oldest first."""
        rows = self.connection.execute(
            "SELECT client_id, path, target, text FROM strata_outbox ORDER BY place"
        )
        return [Outgoing(*row) for row in rows]

    def close(self) -> None:
        """Let go of the file; what was not committed is gone."""
        self.connection.close()
