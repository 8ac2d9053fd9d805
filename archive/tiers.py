"""The slowest tier: each user's own hour objects, found by the index of segments.

An object is read once for a page, checked against the digest that was recorded when it was written,
and kept for a short while in the cache under that digest, so that nothing kept can be stale.
"""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings

from archive.hours import Damaged, hour_from, key_of, line_from, plain_chunks, seq_of, split_lines
from archive.sql import read_sql
from common.cache import CacheUnavailable, cache, keep
from common.database import rows
from messaging.tiers import Reading, Span, Tier
from messaging.wire import Line, from_micros

logger = logging.getLogger(__name__)
_OBJECTS = read_sql("objects_of_span.sql")
_OBJECT_AT = read_sql("object_at.sql")
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
    next_sha256: bytes | None = None
    """What it is about to become, while a message is being erased from it."""

    def name(self, viewer: UUID) -> str:
        """Return its key in the cache: of one content, so that nothing there is ever stale."""
        return f"a:{viewer}:{self.sha256.hex()}"


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
            for held in (_held(fields) for fields in found):
                first, last = max(held.first, span.first), min(held.last, span.last)
                if all(seq in have for seq in range(first, last + 1)):
                    continue
                lines = read_lines(Span(span.chat, first, last), reading.viewer, held, page)
                reading.add(span.chat, lines)
                reading.own.setdefault(span.chat.number, set()).update(line.seq for line in lines)

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
        lines = read_lines(span, viewer, held, {})
        later = (line.seq for line in lines if line.at > at)
        return next(later, min(held.last, span.last) + 1)


def _held(fields: Sequence[Any]) -> Held:
    hour, first, last, count, size, sha256, coming = fields
    return Held(hour_from(hour), first, last, count, size, bytes(sha256), coming and bytes(coming))


def read_lines(span: Span, viewer: UUID, held: Held, page: dict[str, bytes]) -> list[Line]:
    """Return the lines of a viewer's object that are in a span.

    `page` holds the objects that were read for the same page.
    """
    name = held.name(viewer)
    packed = page.get(name) or _kept(name)
    if packed is not None:
        page[name] = packed
        raw = checked([packed], held, span.first, span.last)
    else:
        raw = _fetched(span, viewer, held, page)
    return [line_from(line, span.chat.id) for line in raw]


def _fetched(span: Span, viewer: UUID, held: Held, page: dict[str, bytes]) -> list[bytes]:
    """Read an object from the bucket; a small one is kept. A failed read is tried once more."""
    # Here, as boto3 takes 17 MB that a worker which never reads the archive need not have.
    from archive import store  # noqa: PLC0415

    store.brisk.check_awake()
    key = key_of(viewer, held.hour, span.chat.id)
    for attempt in (1, 2):
        try:
            found = store.brisk.get(key)
            if max(found.size, held.size) > MOST_KEPT_BYTES:
                return checked(found.chunks, held, span.first, span.last)
            packed = b"".join(found.chunks)
            lines = checked([packed], held, span.first, span.last)
        except store.ArchiveUnavailable:
            if attempt == 1:
                continue
            store.brisk.failed()
            raise
        except (store.Missing, Damaged) as error:
            logger.error("%s can't be read: %s. Run manage.py verify --repair.", key, error)  # noqa: TRY400
            raise store.ArchiveUnavailable from error
        name = held.name(viewer)
        page[name] = packed
        _keep(name, packed)
        return lines
    raise store.ArchiveUnavailable


def checked(packed: Iterable[bytes], held: Held, first: int, last: int) -> list[bytes]:
    """Return an object's lines from one seq to another; raises Damaged unless it is right.

    It may hold more than the index knows, while a run that adds to it has not recorded that yet.
    """
    lines = []
    sha = hashlib.sha256()
    count = 0
    for raw in split_lines(plain_chunks(packed)):
        if count == held.count:
            break
        sha.update(raw + b"\n")
        count += 1
        if first <= seq_of(raw) <= last:
            lines.append(raw)
    if count != held.count or sha.digest() not in (held.sha256, held.next_sha256):
        raise Damaged("it is not what was written")
    return lines


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
