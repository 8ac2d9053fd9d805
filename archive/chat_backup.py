"""Backing up one chat, hour by hour: write, read back, and only then record."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

import orjson
from django.db import transaction

from archive.hours import Packed, hour_from, hour_start
from archive.locks import ChatLock, chat_lock
from archive.manifest_notes import Change, notes
from archive.models import HourObject
from archive.parts import Known, Part, classes
from archive.sql import read_sql
from archive.steps import step
from archive.store import Store
from archive.writing import Writers, Written, write_object
from common.database import row, rows
from messaging.tiers import Chat
from messaging.wire import from_micros

_NEXT_HOUR = read_sql("next_hour.sql")
_RECORD = read_sql("record_segment.sql")


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run is told of while a chat is backed up."""

    object_written: Callable[[Written], None]
    hour_done: Callable[[int], None]
    """Gets how many messages are newly in cold storage."""


def backup_chat(
    chat: Chat, cutoff: datetime, store: Store, writers: Writers, progress: Progress
) -> None:
    """Bring into cold storage what a chat got before the cutoff; each hour is done or not at all.

    Raises Busy, LockLost, Damaged, ArchiveUnavailable; the hours done until then stay done.
    """
    with chat_lock(chat.number) as lock:
        step("chat.locked")
        while (pending := next_part(chat, cutoff, store)) is not None:
            part, new, end = pending
            write_part(part, new, writers, lock, progress)
            progress.hour_done(part.last - new + 1)
            if part.last >= end:
                # What comes after the chat's end of a moment ago is dated after the cutoff.
                break


def next_part(chat: Chat, cutoff: datetime, store: Store) -> tuple[Part, int, int] | None:
    """Return the chat's next hour that is not whole in cold storage.

    And the first seq of it that is new, and the chat's last one.
    """
    found = rows(_NEXT_HOUR, {"chat": chat.id, "cutoff": cutoff})
    if not found:
        return None
    hour, new, db_seq, end, segment_id, first, last = found[0]
    known = known_objects(segment_id) if segment_id else {}
    return Part(chat, hour_from(hour), first, last, db_seq, store, known), new, end


def known_objects(segment_id: int) -> dict[UUID, Known]:
    """Return what the index knows of a segment's objects."""
    return {
        entry.user_id: Known(
            bytes(entry.sha256),
            entry.count,
            entry.last_seq,
            entry.etag,
            entry.generation,
            bytes(entry.next_sha256) if entry.next_sha256 else None,
        )
        for entry in HourObject.objects.filter(segment=segment_id)
    }


def write_part(part: Part, new: int, writers: Writers, lock: ChatLock, progress: Progress) -> None:
    """Write the objects of all who could see something new, then record the hour."""
    written = writers.write_all(_tasks(part, new, lock), progress.object_written)
    step("record.before")
    with transaction.atomic():
        lock.check()
        record(part, written)
        step("record.inside")
    step("record.after")


def _tasks(part: Part, new: int, lock: ChatLock) -> Iterator[Callable[[], Written]]:
    """Yield what is to be done for each object; those of the same bytes are packed once."""
    news = {user_id: ranges for user_id, ranges in part.readers().items() if ranges[-1][1] >= new}
    owners = set(news) if part.first < part.rows_from else part.owners()
    alike = list(classes(news, owners))
    made = part.pack_all(alike)
    if part.first < part.rows_from:
        made = (part.pack(users[0], ranges) for users, ranges in alike)
    for (users, _), packed in zip(alike, made, strict=True):
        for user_id in users:
            yield partial(_write, part, user_id, packed, lock)


def _write(part: Part, user_id: UUID, packed: Packed, lock: ChatLock) -> Written:
    return write_object(part, user_id, packed, lock)


def changes(part: Part, written: list[Written]) -> Iterator[Change]:
    """Yield what a run changed of a part's objects, as the manifests are to be told."""
    for one in written:
        known = part.known.get(one.user_id)
        yield Change(
            one.user_id, part.hour, part.chat.id,
            known.generation if known else 0, known.sha256.hex() if known else "",
            one.generation, one.facts.sha256,
        )  # fmt: skip


def record(part: Part, written: list[Written]) -> None:
    """Record a segment and its objects; needs a transaction."""
    first_at, last_at = part.times()
    told = list(notes(changes(part, written)))
    row(
        _RECORD,
        {
            "chat": part.chat.id,
            "hour": hour_start(part.hour),
            "first": part.first,
            "last": part.last,
            "first_at": from_micros(first_at),
            "last_at": from_micros(last_at),
            "users": [one.user_id for one in written],
            "firsts": [one.facts.first for one in written],
            "lasts": [one.facts.last for one in written],
            "counts": [one.facts.count for one in written],
            "sizes": [one.size for one in written],
            "digests": [bytes.fromhex(one.facts.sha256) for one in written],
            "etags": [one.etag for one in written],
            "generations": [one.generation for one in written],
            "note_shards": [one.shard for one in told],
            "note_counts": [one.count for one in told],
            "note_digests": [one.digest for one in told],
            "note_names": [orjson.dumps(one.named).decode() for one in told],
        },
    )
