"""What is no message but must come back too: users, blocks, chats, memberships, without any token.

Each run writes them under `_system/{year}/{day_of_year}/{hour}/`, and last `manifest`, which says
that the rest is whole. Members are read first and users last: no row names one that is not there.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson
from django.db import DatabaseError

from archive import manifests, signed_objects
from archive.hours import Damaged, Packer, hour_from, hour_path
from archive.sql import read_sql
from archive.steps import step
from archive.store import ArchiveUnavailable, Missing, Store
from common.database import rows

logger = logging.getLogger(__name__)
PREFIX = "_system/"
VERSION = "1"
PORTION = 2000
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
        signed_objects.put(store, folder(hour) + table.name, packed)
        facts[table.name] = {"count": packed.facts.count, "sha256": packed.facts.sha256}
    step("snapshot.manifest")
    packer = Packer()
    packer.add(
        [
            (
                1,
                orjson.dumps(
                    {"version": int(VERSION), "tables": facts, "manifests": manifests.numbers()}
                ),
            )
        ]
    )
    signed_objects.put(store, folder(hour) + "manifest", packer.finish())
    step("snapshot.after")


def whole(store: Store, hour: int, *, unsigned: bool = False) -> bool:
    """Say whether an hour has a snapshot all of whose objects are what its manifest says."""
    try:
        for name, facts in manifest(store, hour, unsigned=unsigned).items():
            signed_objects.check(store, folder(hour) + name, facts["sha256"], unsigned=unsigned)
    except (Missing, Damaged) as error:
        logger.warning("the snapshot %s is not taken: %s", folder(hour), error)
        return False
    return True


def manifest(store: Store, hour: int, *, unsigned: bool = False) -> dict[str, Any]:
    """Return an hour's manifest: table -> count and sha256; raises Missing, Damaged."""
    tables: dict[str, Any] = _said(store, hour, unsigned=unsigned)["tables"]
    return tables


def numbers(store: Store, hour: int, *, unsigned: bool = False) -> dict[str, int]:
    """Return which manifests of objects there were by then, by shard; none before there were."""
    found: dict[str, int] = _said(store, hour, unsigned=unsigned).get("manifests", {})
    return found


def _said(store: Store, hour: int, *, unsigned: bool) -> dict[str, Any]:
    key = folder(hour) + "manifest"
    plain = signed_objects.read_plain(store, key, MANIFEST_MOST_BYTES, unsigned=unsigned)
    try:
        said = orjson.loads(plain)
        if isinstance(said["tables"], dict):
            return dict(said)
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged("the manifest can't be read") from error
    raise Damaged("the manifest can't be read")


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


def newest(store: Store, *, unsigned: bool = False) -> int | None:
    """Return the hour of the newest whole snapshot: walks back from the last, folder by folder."""
    # Wishes to erase lie beside the years.
    years = [found for found in store.folders(PREFIX) if found[len(PREFIX) :][:-1].isdecimal()]
    for year in reversed(years):
        for day in reversed(store.folders(year)):
            for hour in reversed(store.folders(day)):
                found = hour_of_key(hour + "manifest")
                if found is not None and whole(store, found, unsigned=unsigned):
                    return found
    return None


def read(
    store: Store, hour: int, table: str, *, unsigned: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a snapshot's table; raises Missing, Damaged, ArchiveUnavailable."""
    sha256 = manifest(store, hour, unsigned=unsigned)[table]["sha256"]
    return signed_objects.read_lines(store, folder(hour) + table, sha256=sha256, unsigned=unsigned)
