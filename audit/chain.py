"""Checking the chain: that every entry is what was written, and that none before the end is gone.

The hashes are made again in Python from the rows, so that the check trusts no function in the
database.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from audit.models import HASH_BYTES
from audit.sql import read_sql
from common.database import rows

GENESIS = bytes(HASH_BYTES)
PORTION = 1000
_WENT_BACK = """
SELECT id FROM audit_entry
 WHERE action = 'database_went_back' AND id <= %(id)s AND at >= %(at)s
   AND (after->>'database') IS NOT NULL
 ORDER BY id LIMIT 1
"""
_ENTRIES = read_sql("entries.sql")


@dataclass(frozen=True, slots=True)
class Head:
    """How far the log had got: the number of an entry and its hash."""

    id: int
    hash: bytes
    at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found: how many entries are right, and the first that is not (None: all are)."""

    entries: int
    head: Head
    broken: int | None = None
    fault: str = ""


def fields_text(fields: Sequence[str | None]) -> bytes:
    """Return what is under an entry's hash; as `audit_entry_fields` in `sql/chain.sql`."""
    return b",".join(
        b"-" if field is None else b"%d:%b" % (len(raw := field.encode()), raw) for field in fields
    )


def verify(expected: Sequence[Head] = ()) -> Verdict:
    """Check every entry; with `expected`, that these heads, seen before, are still in the chain."""
    wanted: dict[int, set[bytes]] = {}
    for seen in expected:
        if seen.id:
            wanted.setdefault(seen.id, set()).add(seen.hash)
    head = Head(0, GENESIS)
    for id_, previous, stored, fields in _entries():
        if id_ != head.id + 1:
            return Verdict(head.id, head, head.id + 1, f"entry {head.id + 1} is missing")
        if previous != head.hash:
            return Verdict(head.id, head, id_, f"entry {id_} does not follow entry {head.id}")
        if hashlib.sha256(fields_text(fields)).digest() != stored:
            return Verdict(head.id, head, id_, f"entry {id_} is not what was written")
        if wanted.pop(id_, {stored}) != {stored}:
            return Verdict(head.id, head, id_, f"entry {id_} is another than the one seen before")
        head = Head(id_, stored)
    if wanted:
        first = head.id + 1
        fault = f"entry {first} and those up to {max(wanted)} are missing at the end"
        return Verdict(head.id, head, first, fault)
    return Verdict(head.id, head)


def went_back_at(head: Head) -> int | None:
    """Return the entry that says that a head was lost: the database went back after it was seen."""
    found = rows(_WENT_BACK, {"id": head.id, "at": head.at}) if head.at else []
    return int(found[0][0]) if found else None


def lost_heads(heads: Sequence[Head]) -> list[Head]:
    """Return the heads of entries that were lost with a database's newer state."""
    return [head for head in heads if went_back_at(head) is not None]


def newest() -> Head:
    """Return how far the log has got; number 0 for an empty one."""
    found = rows("SELECT id, hash, at FROM audit_entry ORDER BY id DESC LIMIT 1", ())
    return Head(found[0][0], bytes(found[0][1]), found[0][2]) if found else Head(0, GENESIS)


def _entries() -> Iterator[tuple[int, bytes, bytes, list[str | None]]]:
    after = -1
    while found := rows(_ENTRIES, {"after": after, "most": PORTION}):
        for id_, previous, stored, fields in found:
            yield id_, bytes(previous), bytes(stored), fields
        after = found[-1][0]
