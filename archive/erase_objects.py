"""Taking texts out of hour objects: each is written again without them, announced by its digest.

Readers take what is there for right by either digest meanwhile. Needs the chat's lock throughout.
"""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from archive.chat_backup import changes
from archive.checking import from_others, part_of
from archive.hours import Damaged, Packed, line_of, message_from
from archive.locks import ChatLock
from archive.manifest_notes import note
from archive.models import HourObject, Segment
from archive.parts import NO_TEXT, Part, Ranges, checked_lines
from archive.runs import Tally
from archive.steps import step
from archive.store import Missing, patient
from archive.writing import write_object
from common.cache import CacheUnavailable, cache
from messaging.models import Message

logger = logging.getLogger(__name__)
Which = Callable[[dict[str, Any]], bool]
"""Says of a message whether its text is to go."""


def erase_from_segment(
    segment: Segment, which: Which, lock: ChatLock, tally: Tally, *, seq: int | None = None
) -> list[str]:
    """Write again the objects of a segment that hold what is to go; of a seq's readers if named.

    Rows that are in the database have lost their text already. A lost or damaged object is put
    together from others' copies once those are without the text; the keys of those for which that
    can't be done are returned. Nothing of them is recorded, so that `verify` goes on naming them.
    """
    part = part_of(segment, patient)
    readers, bad = part.readers(), []
    for user_id, ranges in readers.items():
        if user_id not in part.known or (seq is not None and not _holds(ranges, seq)):
            continue
        known = part.known[user_id]
        try:
            packed = part.pack(user_id, ranges, partial(_without, part, user_id, which))
        except (Missing, Damaged) as error:
            if part.first >= part.rows_from:
                # No object was read: the database lacks rows.
                raise
            logger.warning("%s: %s; its text goes last", part.key(user_id), error)
            bad.append(user_id)
            continue
        if packed.facts.sha256 == known.sha256.hex() and known.coming is None:
            continue
        row = HourObject.objects.filter(segment=segment, user=user_id)
        _rewrite(part, row, user_id, packed, lock)
        tally.add(objects=1)
    return _rebuild(segment, bad, which, lock, tally) if bad else []


def _rebuild(
    segment: Segment,
    bad: list[UUID],
    which: Which,
    lock: ChatLock,
    tally: Tally,
) -> list[str]:
    """Write bad objects again from others' copies, without the text; return whose can't be."""
    unreached = []
    # The others' digests are new by now.
    part = part_of(segment, patient)
    readers = part.readers()
    for user_id in bad:
        try:
            packed = from_others(part, user_id, readers, partial(_stripped, part, which, user_id))
        except (Missing, Damaged) as error:
            logger.warning("%s: a text can't be erased from it: %s", part.key(user_id), error)
            unreached.append(part.key(user_id))
            continue
        row = HourObject.objects.filter(segment=segment, user=user_id)
        _rewrite(part, row, user_id, packed, lock, anew=True)
        tally.add(objects=1)
    return unreached


def _holds(ranges: Ranges, seq: int) -> bool:
    return any(first <= seq <= last for first, last in ranges)


def _rewrite(
    part: Part,
    row: QuerySet[HourObject],
    user_id: UUID,
    packed: Packed,
    lock: ChatLock,
    *,
    anew: bool = False,
) -> None:
    """Write a user's object without the text; readers take both for right meanwhile."""
    known = part.known[user_id]
    sha256 = bytes.fromhex(packed.facts.sha256)
    row.update(next_sha256=sha256)
    step("erase.announced")
    one = write_object(part, user_id, packed, lock, anew=anew)
    with transaction.atomic():
        lock.check()
        row.update(
            sha256=sha256, next_sha256=None, etag=one.etag, size=one.size, generation=one.generation
        )
        note(changes(part, [one]))
    step("erase.rewritten")
    for digest in filter(None, (known.sha256, known.coming)):
        try:
            cache.execute("DEL", f"a:{user_id}:{digest.hex()}")
        except CacheUnavailable:
            logger.info("a page that the cache keeps of the erased message ends by itself")


def _without(part: Part, user_id: UUID, which: Which) -> Iterator[tuple[int, bytes]]:
    """Return what a user's object holds from before `db_seq`, some messages without their text."""
    return _stripped(part, which, user_id, part.old_lines(user_id))


def _stripped(
    part: Part, which: Which, user_id: UUID, lines: Iterator[tuple[int, bytes]]
) -> Iterator[tuple[int, bytes]]:
    """Yield a user's lines, some messages without their text."""
    for seq, raw in lines:
        message = message_from(raw, part.chat.id)
        if message["kind"] == Message.Kind.TEXT and which(message):
            raw = line_of(message | NO_TEXT).seen_by(str(user_id).encode())  # noqa: PLW2901
        yield seq, raw


def kind_of(segment: Segment, seq: int) -> str | None:
    """Return the kind of a message that only objects hold, by the first copy that can be read.

    None when none can; raises ArchiveUnavailable.
    """
    part = part_of(segment, patient)
    for user_id, ranges in part.readers().items():
        if user_id not in part.known or not _holds(ranges, seq):
            continue
        try:
            for at, raw in checked_lines(patient, part.key(user_id), part.known[user_id]):
                if at == seq:
                    return str(message_from(raw, part.chat.id)["kind"])
        except (Missing, Damaged):
            continue
    return None


def holds_texts_of(segment: Segment, user_id: UUID) -> bool:
    """Say whether a user may have written in a segment: their own copy tells, if it is there."""
    part = part_of(segment, patient)
    known, sender = part.known.get(user_id), str(user_id)
    if known is None:
        return True
    try:
        return any(
            message["sender_id"] == sender and message["kind"] == Message.Kind.TEXT
            for message in (
                message_from(raw, part.chat.id)
                for _, raw in checked_lines(patient, part.key(user_id), known)
            )
        )
    except (Missing, Damaged):
        return True
