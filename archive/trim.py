"""Trim: a message leaves the database when cold storage has been seen to hold it for everyone.

Beyond the last Y of its chat, its hour ended, every object of that hour read back just before. In
batches, each a short transaction, so that senders hardly wait.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from archive.backup import Target
from archive.checking import load, mend, part_of
from archive.locks import ChatLock, chat_lock
from archive.runs import Shower, Silent, Tally, side_by_side
from archive.sql import read_sql
from archive.steps import step
from archive.store import patient
from common.database import rows
from messaging import kept_sends
from messaging.models import Chat as ChatRow
from messaging.models import Message
from messaging.telling import forget_chat
from messaging.tiers import Chat

_CHATS = read_sql("chats_to_trim.sql")
_SEGMENT = read_sql("segment_to_trim.sql")
_SETTLE_START = read_sql("settle_start.sql")
_FORGET_SENDS = read_sql("forget_sends.sql")
BATCH = 500
SMALLEST_BATCH = 10
LONGEST_SECONDS = 0.1
"""How long a batch may keep a chat's senders waiting."""
CHATS_AT_ONCE = 500


def trim(*, dry_run: bool = False, shower: Shower | None = None) -> dict[str, Any]:
    """Take out of the database what is beyond the last Y of each chat and safe in cold storage."""
    shower, tally = shower or Silent(), Tally()
    tally.add(chats=0, messages=0, objects=0)
    if dry_run:
        for target in targets():
            tally.add(chats=1, messages=target.pending)
        return {"command": "trim", "dry_run": True, **tally.report()}

    def act(target: Target) -> None:
        with chat_lock(target.chat.number) as lock:
            trimmed = trim_chat(target, lock, tally)
        tally.add(chats=1)
        shower.advance(trimmed)

    kept_sends.add_keys()
    shower.total(sum(target.pending for target in targets()))
    side_by_side(targets(), act, tally)
    return {"command": "trim", **tally.report()}


def targets() -> Iterator[Target]:
    """Yield the chats that hold more in the database than their last Y messages."""
    after, keep = UUID(int=0), settings.DB_MESSAGES_PER_CHAT
    while found := rows(_CHATS, {"after": after, "most": CHATS_AT_ONCE, "keep": keep}):
        for id_, number, pending in found:
            yield Target(Chat(id_, number), pending)
        after = found[-1][0]


def trim_chat(target: Target, lock: ChatLock, tally: Tally) -> int:
    """Trim a chat, segment by segment, as far as it is safe; return how many messages left.

    Raises Stopped between batches.
    """
    trimmed, chat, batch = 0, target.chat, Batch()
    while found := rows(_SEGMENT, {"chat": chat.id, "keep": settings.DB_MESSAGES_PER_CHAT}):
        segment_id, purged, first, until = found[0]
        if not purged and not _safe(segment_id, lock, tally):
            break
        low = first
        while low <= until:
            tally.go_on()
            high = min(low + batch.size - 1, until)
            with batch.timed():
                _trim_batch(chat, low, high, lock, purged=purged)
            trimmed += high - low + 1
            tally.add(messages=high - low + 1)
            low = high + 1
    return trimmed


class Batch:
    """How many messages leave in one transaction: fewer where that takes long.

    Senders wait for the chat's row meanwhile, and how long that is depends on the machine and on
    what else it does. A batch that took more than half of what is allowed halves the next.
    """

    def __init__(self) -> None:
        self.size = BATCH

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Take the time of a batch and settle the next one's size."""
        started = time.monotonic()
        yield
        took = time.monotonic() - started
        if took > LONGEST_SECONDS / 2:
            self.size = max(SMALLEST_BATCH, self.size // 2)
        elif took < LONGEST_SECONDS / 8:
            self.size = min(BATCH, self.size * 2)


def _safe(segment_id: int, lock: ChatLock, tally: Tally) -> bool:
    """Read all objects of a segment, write wrong ones again, and say whether all are right."""
    segment = load(segment_id)
    if segment is None:
        return False
    part = part_of(segment, patient)
    readers = part.readers()
    tally.add(objects=len(readers))
    step("trim.verify")
    if not mend(part, readers, lock, tally, repair=True):
        return False
    rows(
        "UPDATE archive_segment SET verified_at = clock_timestamp() WHERE id = %s RETURNING id",
        (segment_id,),
    )
    step("trim.verified")
    return True


def _trim_batch(chat: Chat, first: int, last: int, lock: ChatLock, *, purged: bool) -> None:
    """Take some messages out of the database, what their client_ids stand for kept."""
    step("trim.before")
    with transaction.atomic():
        lock.check()
        # The chat's row first, as everybody does.
        ChatRow.objects.filter(pk=chat.id, db_seq=first).update(db_seq=last + 1)
        leaving = Message.objects.filter(chat=chat.id, seq__range=(first, last))
        if not purged:
            kept_sends.keep(chat.id, leaving.filter(client_id__isnull=False))
        leaving.delete()
        moved = purged and settle_start(chat.id)
        step("trim.inside")
    if moved:
        forget_sends(chat.id)
        forget_chat(chat.number)
    step("trim.after")


def settle_start(chat_id: UUID) -> bool:
    """Move a chat's start to what is still held somewhere; return whether it moved."""
    with transaction.atomic():
        return bool(rows(_SETTLE_START, {"chat": chat_id}))


def forget_sends(chat_id: UUID) -> None:
    """Forget what the client_ids before a chat's start stood for, a batch a transaction."""
    after = 0
    while found := rows(_FORGET_SENDS, {"chat": chat_id, "after": after, "most": BATCH}):
        (after,) = found[0]
