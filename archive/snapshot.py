"""What is no message but must come back too: users, blocks, chats, memberships, without any token.

Each run writes them under `_system/{year}/{day_of_year}/{hour}/`, and last `manifest`, which says
that the rest is whole. Members are read first and users last: no row names one that is not there.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

import orjson
from django.db import DatabaseError

from archive.hours import Damaged, Packed, Packer, hour_from, hour_path, plain_chunks, split_lines
from archive.sql import read_sql
from archive.steps import step
from archive.store import ArchiveUnavailable, Found, Missing, Store
from common.database import rows

PREFIX = "_system/"
VERSION = "1"
PORTION = 2000
TRIES = 4
MANIFEST_MOST_BYTES = 64 * 1024
FAILURES = (ArchiveUnavailable, Missing, Damaged, DatabaseError)


class Table(NamedTuple):
    """One object of a snapshot."""

    name: str
    sql: str
    start: Any


TABLES = (
    Table("memberships", read_sql("snapshot_memberships.sql"), 0),
    Table("chats", read_sql("snapshot_chats.sql"), 0),
    Table("blocks", read_sql("snapshot_blocks.sql"), 0),
    Table("users", read_sql("snapshot_users.sql"), "00000000-0000-0000-0000-000000000000"),
)


def folder(hour: int) -> str:
    """Return the prefix of an hour's snapshot."""
    return f"{PREFIX}{hour_path(hour)}/"


def write(store: Store, hour: int, *, again: bool) -> None:
    """Write an hour's snapshot; unless `again`, only where none is whole."""
    if not again and whole(store, hour):
        return
    facts: dict[str, Any] = {}
    for table in TABLES:
        step("snapshot.before")
        packer = Packer()
        for portion in _portions(table):
            packer.add(portion)
        packed = packer.finish()
        _put(store, folder(hour) + table.name, packed)
        facts[table.name] = {"count": packed.facts.count, "sha256": packed.facts.sha256}
    step("snapshot.manifest")
    packer = Packer()
    packer.add([(1, orjson.dumps({"version": int(VERSION), "tables": facts}))])
    _put(store, folder(hour) + "manifest", packer.finish())
    step("snapshot.after")


def _put(store: Store, key: str, packed: Packed) -> None:
    """Write an object and read it back; raises Damaged when it does not read back right."""
    facts = packed.facts
    metadata = {"count": str(facts.count), "sha256": facts.sha256, "version": VERSION}
    for attempt in range(1, TRIES + 1):
        store.put_plain(key, packed.body(), metadata)
        try:
            _check(store, key, facts.sha256)
        except (Missing, Damaged, ArchiveUnavailable):
            if attempt == TRIES:
                raise
        else:
            return


def whole(store: Store, hour: int) -> bool:
    """Say whether an hour has a snapshot all of whose objects are what its manifest says."""
    try:
        for name, facts in manifest(store, hour).items():
            _check(store, folder(hour) + name, facts["sha256"])
    except (Missing, Damaged):
        return False
    return True


def manifest(store: Store, hour: int) -> dict[str, Any]:
    """Return an hour's manifest: table -> count and sha256; raises Missing, Damaged."""
    return store.read(folder(hour) + "manifest", _tables)


def _tables(found: Found) -> dict[str, Any]:
    plain = b""
    for chunk in plain_chunks(found.chunks):
        plain += chunk
        if len(plain) > MANIFEST_MOST_BYTES:
            raise Damaged("the manifest is none")
    try:
        tables: dict[str, Any] = orjson.loads(plain)["tables"]
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged("the manifest can't be read") from error
    return tables


def _check(store: Store, key: str, sha256: str) -> None:
    def compare(found: Found) -> None:
        sha = hashlib.sha256()
        for chunk in plain_chunks(found.chunks):
            sha.update(chunk)
        if sha.hexdigest() != sha256:
            raise Damaged(f"{key} is not what was written")

    store.read(key, compare)


def _portions(table: Table) -> Iterator[list[tuple[int, bytes]]]:
    after, place = table.start, 0
    while found := rows(table.sql, {"after": after, "most": PORTION}):
        yield [(place + n, line.encode()) for n, (_, line) in enumerate(found, 1)]
        place += len(found)
        after = found[-1][0]


def hour_of_key(key: str) -> int | None:
    """Return the hour of a snapshot's object by its key; None for what is none."""
    parts = key.removeprefix(PREFIX).split("/")
    try:
        year, day, hour, _ = parts
        start = datetime.strptime(f"{year}/{day}", "%Y/%j").replace(tzinfo=UTC)
        return hour_from(start + timedelta(hours=int(hour)))
    except ValueError:
        return None


def newest(store: Store) -> int | None:
    """Return the hour of the newest whole snapshot: walks back from the last, folder by folder."""
    # Wishes to erase lie beside the years.
    years = [found for found in store.folders(PREFIX) if found[len(PREFIX) :][:-1].isdecimal()]
    for year in reversed(years):
        for day in reversed(store.folders(year)):
            for hour in reversed(store.folders(day)):
                found = hour_of_key(hour + "manifest")
                if found is not None and whole(store, found):
                    return found
    return None


def read(store: Store, hour: int, table: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a snapshot's table; raises Missing, Damaged, ArchiveUnavailable.

    One that breaks off is read again, and gone on with where that was.
    """
    given = 0
    for attempt in range(1, TRIES + 1):
        lines = split_lines(plain_chunks(store.get(folder(hour) + table).chunks))
        try:
            for raw in islice(lines, given, None):
                given += 1
                yield orjson.loads(raw)
        except ValueError as error:
            raise Damaged(f"the snapshot's {table} can't be read") from error
        except ArchiveUnavailable:
            if attempt == TRIES:
                raise
        else:
            return
