"""The slowest tier: each user's own hour objects, found by the index of segments.

An object is read once for a page, checked against the digest that was recorded when it was written,
and kept for a short while in the cache under that digest, so that nothing kept can be stale.
"""

import hashlib
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings

from archive.hours import Damaged, hour_from, key_of, line_from, plain_chunks, seq_of, split_lines
from archive.signatures import check
from archive.sql import read_sql
from common.bulkheads import bulkheads
from common.cache import CacheUnavailable, cache, keep
from common.database import rows
from messaging.tiers import Chat, Reading, Span, Tier
from messaging.wire import UNBOUNDED, Line, from_micros, micros_text

logger = logging.getLogger(__name__)
_OBJECTS = read_sql("objects_of_span.sql")
_OBJECT_AT = read_sql("object_at.sql")
_SENT_AT = b'"sent_at":"'
_LOST = (
    "Messages {0} to {1} of this chat can't be read right now. Send the same request again, or go "
    "on with before={0} or after={1}."
)
MOST_KEPT_BYTES = 1024 * 1024
"""Larger objects are not kept in the cache."""


@dataclass(frozen=True, slots=True)
class Held:
    """A user's object as the index knows it."""

    hour: int
    first: int
    last: int
    count: int
    size: int
    sha256: bytes
    generation: int
    next_sha256: bytes | None = None
    """What it is about to become, while a message is being erased from it."""

    def name(self, viewer: UUID) -> str:
        """Return its key in the cache: of one content, so that nothing there is ever stale."""
        return f"a:{viewer}:{self.sha256.hex()}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines of an object are wanted: what is beyond the room is let go while it is read."""

    first: int
    last: int
    room: int = UNBOUNDED
    """Bytes; the lines end with the one that no longer fits."""
    newest_first: bool = False
    after: int | None = None
    """Only what was sent after this time, in microseconds."""

    def choice(self) -> "_Choice":
        """Return what chooses them."""
        return _Choice(self)


class _Choice:
    """The lines that are wanted, of those that came by."""

    def __init__(self, wanted: Wanted) -> None:
        self.lines: deque[bytes] = deque()
        self._wanted = wanted
        self._bytes = 0
        self._after = b"" if wanted.after is None else micros_text(wanted.after).encode()

    def offer(self, raw: bytes) -> None:
        """Take the next line of the object, if it is wanted."""
        wanted, lines = self._wanted, self.lines
        if not wanted.first <= seq_of(raw) <= wanted.last or self._is_too_early(raw):
            return
        if wanted.newest_first:
            while lines and self._bytes + len(raw) - len(lines[0]) > wanted.room:
                self._bytes -= len(lines.popleft())
        elif self._bytes > wanted.room:
            return
        lines.append(raw)
        self._bytes += len(raw)

    def _is_too_early(self, raw: bytes) -> bool:
        """Say whether it was sent too early; times of one form are in the order of their texts."""
        if not self._after:
            return False
        at = raw.rfind(_SENT_AT) + len(_SENT_AT)
        return raw[at : at + len(self._after)] <= self._after


class ArchiveTier(Tier):
    """Hour objects in the bucket."""

    name = "archive"

    def read(self, reading: Reading, missing: Sequence[Span]) -> None:
        """Add what the viewer's own objects hold of the missing spans.

        Raises ArchiveUnavailable where one that must be there can't be read: a hole is never
        passed for the whole.
        """
        page: dict[str, bytes] = reading.notes.setdefault(self.name, {})
        for span in missing:
            found = rows(
                _OBJECTS,
                {
                    "chat": span.chat.id, "user": reading.viewer,
                    "first": span.first, "last": span.last,
                },
            )  # fmt: skip
            have = reading.lines.get(span.chat.number, {})
            room = span.room
            for held in (_held(fields) for fields in found[:: -1 if reading.newest_first else 1]):
                first, last = max(held.first, span.first), min(held.last, span.last)
                if all(seq in have for seq in range(first, last + 1)):
                    continue
                wanted = Wanted(first, last, room, reading.newest_first)
                lines = read_lines(span.chat, wanted, reading.viewer, held, page)
                reading.add(span.chat, lines)
                reading.own.setdefault(span.chat.number, set()).update(line.seq for line in lines)
                room -= sum(len(line.body) for line in lines)
                if room <= 0:
                    break

    def warm(self) -> None:
        """Load what signs requests to the bucket: 3 MB, and 25 ms of the first page."""
        from archive import store  # noqa: PLC0415 - a process that serves alone needs it early

        store.brisk.direct.warm()

    def seq_after(self, span: Span, at: int, viewer: UUID) -> int | None:
        """Return the smallest seq of a span sent after a time, or `span.last + 1`.

        The index knows the times of each hour; at most one object is read.
        """
        found = rows(
            _OBJECT_AT,
            {
                "chat": span.chat.id, "user": viewer, "at": from_micros(at),
                "first": span.first, "last": span.last,
            },
        )  # fmt: skip
        if not found:
            return span.last + 1
        first_seq, whole_hour, *fields = found[0]
        if whole_hour:
            return max(span.first, int(first_seq))
        held = _held(fields)
        last = min(held.last, span.last)
        wanted = Wanted(max(held.first, span.first), last, room=0, after=at)
        lines = read_lines(span.chat, wanted, viewer, held, {})
        return lines[0].seq if lines else last + 1


def _held(fields: Sequence[Any]) -> Held:
    hour, first, last, count, size, sha256, generation, coming = fields
    start, digests = hour_from(hour), (bytes(sha256), generation, coming and bytes(coming))
    return Held(start, first, last, count, size, *digests)


def read_lines(
    chat: Chat, wanted: Wanted, viewer: UUID, held: Held, page: dict[str, bytes]
) -> list[Line]:
    """Return the wanted lines of a viewer's object.

    `page` holds the objects that were read for the same page.
    """
    name = held.name(viewer)
    packed = page.get(name) or _kept(name)
    if packed is not None:
        page[name] = packed
        raw = checked([packed], held, wanted)
    else:
        with bulkheads.slow("archive"):
            raw = _fetched(chat, wanted, viewer, held, page)
    return [line_from(line, chat.id) for line in raw]


def _fetched(
    chat: Chat, wanted: Wanted, viewer: UUID, held: Held, page: dict[str, bytes]
) -> list[bytes]:
    """Read an object from the bucket; a small one is kept. A failed read is tried once more."""
    # Here, as boto3 takes 17 MB that a worker which never reads the archive need not have.
    from archive import store  # noqa: PLC0415

    store.brisk.check_awake()
    key = key_of(viewer, held.hour, chat.id)
    for attempt in (1, 2):
        try:
            found = store.brisk.get(key)
            check(key, found.metadata, held.generation)
            if max(found.size, held.size) > MOST_KEPT_BYTES:
                return checked(found.chunks, held, wanted)
            packed = b"".join(found.chunks)
            lines = checked([packed], held, wanted)
        except store.ArchiveUnavailable:
            if attempt == 1:
                continue
            store.brisk.failed()
            raise
        except (store.Missing, Damaged) as error:
            logger.error("%s can't be read: %s. Run manage.py verify --repair.", key, error)  # noqa: TRY400
            raise store.ArchiveUnavailable(_LOST.format(held.first, held.last)) from error
        name = held.name(viewer)
        page[name] = packed
        _keep(name, packed)
        return lines
    raise store.ArchiveUnavailable


def checked(packed: Iterable[bytes], held: Held, wanted: Wanted) -> list[bytes]:
    """Return an object's wanted lines; raises Damaged unless all of it is right.

    It may hold more than the index knows, while a run that adds to it has not recorded that yet.
    """
    chosen = wanted.choice()
    sha = hashlib.sha256()
    count = 0
    for raw in split_lines(plain_chunks(packed)):
        if count == held.count:
            break
        sha.update(raw + b"\n")
        count += 1
        chosen.offer(raw)
    if count != held.count or sha.digest() not in (held.sha256, held.next_sha256):
        raise Damaged("it is not what was written")
    return list(chosen.lines)


def _kept(name: str) -> bytes | None:
    try:
        packed: bytes | None = cache.execute("GET", name)
    except CacheUnavailable:
        return None
    return packed


def _keep(name: str, packed: bytes) -> None:
    if len(packed) > MOST_KEPT_BYTES:
        return
    try:
        keep(name, packed, settings.ARCHIVE_CACHE_SECONDS)
    except CacheUnavailable:
        return
