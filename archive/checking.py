"""Whether each object is what was written; writing it again, to the same bytes, if it is not."""

import hashlib
import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple
from uuid import UUID

from django.db import transaction

from archive.chat_backup import known_objects, record
from archive.hours import (
    Damaged,
    Packed,
    hour_from,
    hour_of,
    hour_start,
    line_from,
    line_of,
    message_from,
    plain_chunks,
    split_lines,
)
from archive.locks import ChatLock, chat_lock
from archive.models import Segment
from archive.parts import Known, Part, Ranges, checked_lines, contains
from archive.runs import FAILURES, Tally
from archive.signatures import check
from archive.steps import step
from archive.store import Missing, Store, patient
from archive.writing import write_object
from messaging.models import TrimmedSend
from messaging.tiers import Chat

logger = logging.getLogger(__name__)
Raw = tuple[int, bytes]
"""A seq and its line."""


class Problem(NamedTuple):
    """One object that is not as it should be."""

    user_id: UUID
    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}"


def part_of(segment: Segment, store: Store) -> Part:
    """Return a segment as a part of its chat, with what the index knows of its objects."""
    chat = segment.chat
    return Part(
        Chat(chat.pk, chat.number),
        hour_from(segment.hour),
        segment.first_seq,
        segment.last_seq,
        chat.db_seq,
        store,
        known_objects(segment.pk),
    )


def load(segment_id: int) -> Segment | None:
    """Return a segment that has objects, with its chat as it is now."""
    return Segment.objects.select_related("chat").filter(pk=segment_id, purged_at=None).first()


def problem_of(part: Part, user_id: UUID, ranges: Ranges) -> str | None:
    """Read a user's object whole; return what is wrong with it, None when nothing is."""
    known = part.known.get(user_id)
    if known is None:
        return "the index knows no object of this user"
    try:
        found = part.store.get(part.key(user_id))
        facts = found.facts()
        check(part.key(user_id), found.metadata, known.generation)
        if facts.sha256 != known.sha256.hex():
            return "it does not say of itself what was written"
        seqs = _seqs(part, user_id, split_lines(plain_chunks(found.chunks)), known)
    except Missing:
        return "there is no object"
    except Damaged as error:
        return str(error)
    wanted = [seq for first, last in ranges for seq in range(first, last + 1)]
    if seqs != wanted:
        return "it does not hold what its user could see"
    if (facts.first, facts.last, facts.count) != (wanted[0], wanted[-1], len(wanted)):
        return "its metadata are not those of its messages"
    return None


def _seqs(part: Part, user_id: UUID, lines: Iterator[bytes], known: Known) -> list[int]:
    sha, seqs, viewer = hashlib.sha256(), [], str(user_id).encode()
    for raw in lines:
        sha.update(raw + b"\n")
        line = line_from(raw, part.chat.id)
        if hour_of(line.at) != part.hour:
            raise Damaged(f"message {line.seq} is of another hour")
        if line.owner and line.owner != viewer:
            raise Damaged(f"message {line.seq} shows another sender's client_id")
        seqs.append(line.seq)
        if len(seqs) > known.count:
            raise Damaged("it holds more than was written")
    if sha.digest() != known.sha256:
        raise Damaged("its bytes are not what was written")
    return seqs


def problems_of(part: Part, users: dict[UUID, Ranges]) -> Iterator[Problem]:
    """Yield what is wrong with the objects of some of a part's readers."""
    for user_id, ranges in users.items():
        reason = problem_of(part, user_id, ranges)
        if reason:
            yield Problem(user_id, part.key(user_id), reason)


def check_segment(
    segment_id: int, tally: Tally, *, repair: bool, users: set[UUID] | None = None
) -> bool:
    """Check a segment's objects, or those of some users; return whether all is right now.

    What looks wrong is looked at again while no other run is at work on the chat, and then
    repaired if that is asked for.
    """
    segment = load(segment_id)
    if segment is None:
        return True
    part = part_of(segment, patient)
    readers = part.readers()
    chosen = {user: ranges for user, ranges in readers.items() if users is None or user in users}
    tally.add(objects=len(chosen))
    if not any(problems_of(part, chosen)):
        return True
    with chat_lock(part.chat.number) as lock:
        segment = load(segment_id)
        return segment is None or mend(
            part_of(segment, patient), chosen, lock, tally, repair=repair
        )


def mend(
    part: Part, chosen: dict[UUID, Ranges], lock: ChatLock, tally: Tally, *, repair: bool
) -> bool:
    """Check objects of a part and, if asked, write wrong ones again; return whether all is right.

    Needs the chat's lock.
    """
    right, readers = True, part.readers()
    for problem in list(problems_of(part, chosen)):
        tally.add(wrong=1)
        try:
            if not repair:
                raise Damaged(problem.reason)
            rewrite(part, problem.user_id, readers, lock)
        except FAILURES as error:
            right = False
            tally.fail(problem.key, error)
        else:
            logger.warning("%s: %s; written again", problem.key, problem.reason)
            tally.add(repaired=1)
    return right


def rewrite(part: Part, user_id: UUID, readers: dict[UUID, Ranges], lock: ChatLock) -> None:
    """Write a user's object again from the database or other members' copies; record it."""
    packed = rebuilt(part, user_id, readers)
    known = part.known.get(user_id)
    if known and packed.facts.sha256 != known.sha256.hex() and part.first < part.rows_from:
        raise Damaged("what is left of it elsewhere is not what was written")
    step("repair.before")
    written = write_object(part, user_id, packed, lock, anew=True)
    with transaction.atomic():
        lock.check()
        record(part, [written])
    step("repair.after")


def rebuilt(part: Part, user_id: UUID, readers: dict[UUID, Ranges]) -> Packed:
    """Return a user's object: of rows, of what is still right in it, or of others' copies."""
    ranges = readers[user_id]
    reasons = []
    try:
        # Of what is no row any more, its own lines, where they are what was written.
        return part.pack(user_id, ranges)
    except (Missing, Damaged) as error:
        if part.first >= part.rows_from:
            raise
        reasons.append(str(error))
    try:
        return from_others(part, user_id, readers)
    except (Missing, Damaged) as error:
        raise Damaged("; ".join([*reasons, str(error)])) from error


def from_others(
    part: Part,
    user_id: UUID,
    readers: dict[UUID, Ranges],
    change: Callable[[Iterator[Raw]], Iterator[Raw]] = iter,
) -> Packed:
    """Return a user's object made of rows and of others' copies, their lines changed on the way.

    Raises Damaged where what has left the database is not in them.
    """
    ranges, reasons = readers[user_id], []
    gone = tuple(
        (first, min(last, part.db_seq - 1)) for first, last in ranges if first < part.db_seq
    )
    for order in _sources(part, user_id, gone, readers):
        try:
            return part.pack(user_id, ranges, partial(_changed, change, part, user_id, order))
        except (Missing, Damaged) as error:
            reasons.append(str(error))
    raise Damaged("; ".join(reasons) or "nobody else has a copy of what has left the database")


Order = list[tuple[UUID, tuple[int, int]]]
"""From whose object to take which seqs."""


def _sources(
    part: Part, user_id: UUID, gone: Ranges, readers: dict[UUID, Ranges]
) -> Iterator[Order]:
    """Yield ways to put a user's messages together from others' copies."""
    others = {
        other: ranges
        for other, ranges in readers.items()
        if other != user_id and other in part.known
    }
    for first_choice in others:
        order: Order = []
        for first, last in gone:
            place = first
            while place <= last:
                candidates = [first_choice, *others]
                found = next((one for one in candidates if contains(others[one], place)), None)
                if found is None:
                    return
                until = min(last, next(high for low, high in others[found] if low <= place <= high))
                order.append((found, (place, until)))
                place = until + 1
        yield order


def _copied(part: Part, user_id: UUID, order: Order) -> Iterator[tuple[int, bytes]]:
    """Yield the messages of others' copies as the user saw them, their client_ids with them."""
    client_ids = dict(
        TrimmedSend.objects.filter(
            chat=part.chat.id, sender=user_id, seq__range=(part.first, part.last)
        ).values_list("seq", "client_id")
    )
    viewer = str(user_id)
    for source, (first, last) in order:
        for seq, raw in checked_lines(part.store, part.key(source), part.known[source]):
            if not first <= seq <= last:
                continue
            message = message_from(raw, part.chat.id)
            own = message["sender_id"] == viewer
            message["client_id"] = client_ids.get(seq) if own else None
            yield seq, line_of(message).seen_by(viewer.encode())


def _changed(
    change: Callable[[Iterator[Raw]], Iterator[Raw]], part: Part, user_id: UUID, order: Order
) -> Iterator[Raw]:
    return change(_copied(part, user_id, order))


def repair_hour(hour: int, tally: Tally) -> None:
    """Read all objects of an hour and write damaged or lost ones again."""
    for segment_id in Segment.objects.filter(hour=hour_start(hour)).values_list("pk", flat=True):
        check_segment(segment_id, tally, repair=True)
