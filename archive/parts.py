"""A part of a chat, one hour of it or the rest of one: who could see what, and each one's object.

Lines come from the database where it still has them, else from the user's own object, so that what
has left the database is never dropped from an hour that is written again.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import itemgetter
from typing import Any
from uuid import UUID

from archive.hours import Damaged, Packed, Packer, key_of, plain_chunks, seq_of, split_lines
from archive.signatures import check
from archive.sql import read_sql
from archive.store import Store
from common.database import rows
from messaging.tiers import Chat, Reading, Span
from messaging.tiers.database import DatabaseTier
from messaging.wire import Line

NO_TEXT = {"kind": "removed", "text": ""}
"""What an erased message is."""
PORTION = 250
"""How many messages of a chat are in memory at once: up to 4 MB, in each of a run's threads."""
PACKED_AT_ONCE = 8
"""How many objects are put together in one walk through the messages."""
_READERS = read_sql("readers.sql")
_NOBODY = UUID(int=0)
_OWNERS = """
SELECT DISTINCT m.sender_id FROM messaging_message m
 WHERE m.chat_id = %s AND m.seq BETWEEN %s AND %s AND m.client_id IS NOT NULL
"""

Ranges = tuple[tuple[int, int], ...]
"""Seqs as (first, last) pairs, in order and apart from each other."""


def joined(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return ranges, given in order, with neighbours made one."""
    found: list[tuple[int, int]] = []
    for first, last in ranges:
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)


def clipped(ranges: Ranges, first: int, last: int) -> Ranges:
    """Return what of ranges lies between two seqs."""
    return tuple(
        (max(low, first), min(high, last)) for low, high in ranges if low <= last and high >= first
    )


def size_of(ranges: Ranges) -> int:
    """Return how many seqs ranges hold."""
    return sum(last - first + 1 for first, last in ranges)


def contains(ranges: Ranges, seq: int) -> bool:
    """Say whether a seq is in one of the ranges."""
    return any(first <= seq <= last for first, last in ranges)


@dataclass(frozen=True, slots=True)
class Known:
    """What the index says of a user's object."""

    sha256: bytes
    count: int
    last: int
    etag: str
    generation: int
    coming: bytes | None = None
    """What the object is about to become, while a message is being erased from it."""


@dataclass(slots=True)
class Part:
    """Seqs `first` to `last` of a chat, all sent in one hour; those from `db_seq` on are rows."""

    chat: Chat
    hour: int
    first: int
    last: int
    db_seq: int
    store: Store
    """Where its objects are."""
    known: dict[UUID, Known] = field(default_factory=dict)
    """User -> their object as the index has it."""
    _kept: list[Line] | None = None
    _times: tuple[int, int] | None = None

    @property
    def rows_from(self) -> int:
        """The first seq that the database has."""
        return max(self.first, self.db_seq)

    def readers(self) -> dict[UUID, Ranges]:
        """Return who could see what of it. Ask only once the last seq is settled.

        A membership begins and ends in the transaction of the message that says so, so whatever
        changes later concerns later seqs.
        """
        found = rows(_READERS, {"chat": self.chat.id, "first": self.first, "last": self.last})
        return {
            user_id: joined((first, last) for _, first, last in stretches)
            for user_id, stretches in groupby(found, itemgetter(0))
        }

    def portions(self) -> Iterator[list[Line]]:
        """Yield the rows' lines in order, some at a time; raises when one is not there."""
        if self._kept is not None:
            yield self._kept
            return
        small = self.last - self.rows_from < PORTION
        first_at = 0
        for first in range(self.rows_from, self.last + 1, PORTION):
            span = Span(self.chat, first, min(first + PORTION - 1, self.last))
            reading = Reading([span], _NOBODY)
            DatabaseTier().read(reading, [span])
            lines = reading.found(span)
            if len(lines) != span.last - span.first + 1:
                raise Damaged(f"the database lacks some of {self.chat.id}/{first}-{span.last}")
            first_at = first_at or lines[0].at
            if span.last == self.last:
                self._times = first_at, lines[-1].at
            if small:
                self._kept = lines
            yield lines

    def owners(self) -> set[UUID]:
        """Return the users whose own copies of the rows differ: they gave client_ids."""
        if self.last - self.rows_from < PORTION:
            lines = next(self.portions(), [])
            return {UUID(line.owner.decode()) for line in lines if line.owner}
        return {user_id for (user_id,) in rows(_OWNERS, (self.chat.id, self.rows_from, self.last))}

    def times(self) -> tuple[int, int]:
        """Return the times (µs) of the first and the last row."""
        if self._times is None:
            deque(self.portions(), maxlen=0)
        return self._times or (0, 0)

    def pack_all(self, wanted: Iterable[tuple[list[UUID], Ranges]]) -> Iterator[Packed]:
        """Yield the object of each class of users, made from rows alone, in their order."""
        wanted = iter(wanted)
        while some := list(islice(wanted, PACKED_AT_ONCE)):
            packers = [(str(users[0]).encode(), ranges, Packer()) for users, ranges in some]
            for lines in self.portions():
                for viewer, ranges, packer in packers:
                    packer.add(
                        (line.seq, line.seen_by(viewer))
                        for line in lines
                        if contains(ranges, line.seq)
                    )
            for (users, ranges), (_, _, packer) in zip(some, packers, strict=True):
                yield self._whole(users[0], ranges, packer)

    def pack(
        self,
        user_id: UUID,
        ranges: Ranges,
        old: Callable[[], Iterator[tuple[int, bytes]]] | None = None,
    ) -> Packed:
        """Return the object of a user who could see those ranges.

        What is no row any more comes from their own object, or from `old`.
        """
        viewer = str(user_id).encode()
        packer = Packer()
        if self.first < self.rows_from:
            lines_before = old() if old else self.old_lines(user_id)
            while some := list(islice(lines_before, PORTION)):
                packer.add(some)
        for lines in self.portions():
            packer.add(
                (line.seq, line.seen_by(viewer)) for line in lines if contains(ranges, line.seq)
            )
        return self._whole(user_id, ranges, packer)

    def _whole(self, user_id: UUID, ranges: Ranges, packer: Packer) -> Packed:
        packed = packer.finish()
        if packed.facts.count != size_of(ranges):
            raise Damaged(f"{self.key(user_id)} would not hold what its user could see")
        return packed

    def key(self, user_id: UUID) -> str:
        """Return the key of a user's object."""
        return key_of(user_id, self.hour, self.chat.id)

    def old_lines(self, user_id: UUID) -> Iterator[tuple[int, bytes]]:
        """Yield what a user's object holds from before `db_seq`; raises Missing, Damaged.

        The object may hold more than the index knows, when a run died after writing it; what the
        index knows is its beginning, and that must be what was read back then.
        """
        known = self.known.get(user_id)
        if known is None:
            return
        for seq, raw in checked_lines(self.store, self.key(user_id), known):
            if seq < self.db_seq:
                yield seq, raw


def checked_lines(store: Store, key: str, known: Known) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that the index knows of an object.

    Raises Missing, and Damaged at the latest when all have been yielded.
    """
    sha = hashlib.sha256()
    count = 0
    found = store.get(key)
    check(key, found.metadata, known.generation)
    for raw in split_lines(plain_chunks(found.chunks)):
        if count == known.count:
            break
        sha.update(raw + b"\n")
        count += 1
        yield seq_of(raw), raw
    if count != known.count or sha.digest() not in (known.sha256, known.coming):
        raise Damaged(f"{key} is not what was written")


def classes(
    readers: dict[UUID, Ranges], owners: Collection[UUID]
) -> Iterator[tuple[list[UUID], Ranges]]:
    """Yield users whose objects are the same bytes, with what they could see."""
    alike: dict[Any, list[UUID]] = {}
    for user_id, ranges in readers.items():
        alike.setdefault((ranges, user_id if user_id in owners else None), []).append(user_id)
    for (ranges, _), users in alike.items():
        yield users, ranges
