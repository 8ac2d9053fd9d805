"""get_messages: what is new to a user since a cursor, each message once and in order.

Two ways to the same answer. The cache's script answers a poll by itself when it is certain
(`poll.lua`); whatever it is not certain of is planned by the database and read down the staircase.
`docs/cursor.md` says why nothing is lost or doubled between the two.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings

from common.database import row
from messaging import cursor as cursors
from messaging import scripts
from messaging.cursor import Cursor, CursorTooLong
from messaging.planning import ChatNews, Planned, plan_first, plan_news
from messaging.sql import read_sql
from messaging.tiers import Chat, Span, read
from messaging.wire import Line, to_micros

_HORIZON = read_sql("horizon.sql")
MARGIN = timedelta(microseconds=scripts.MARGIN_MICROS)
LEAST_PER_CHAT = 8
MOST_READ_AT_ONCE = 2_000


@dataclass(slots=True)
class Answer:
    """What a poll returns."""

    chats: list[ChatNews]
    cursor: Cursor
    text: str
    """The cursor as the client gets it."""
    has_more: bool = False
    reset: bool = False
    served_from: str = "cache"


@dataclass(slots=True)
class _Batch:
    """Lines to choose from, and how far they are all there is."""

    chats: dict[int, ChatNews]
    entries: list[tuple[int, int, int]]
    """(time, chat number, seq) in the order of delivery, all of them deliverable."""
    lines: dict[int, dict[int, Line]]
    frontier: int | None
    """When lines are left for later: nothing of them is dated at or before this."""
    slowest: str
    unread: bool = False
    """Whether a chat has more than was read of it."""

    def cut(self, limit: int) -> tuple[list[ChatNews], dict[int, int], int | None]:
        """Return the first `limit` messages by chat, each chat's new position, and a bound.

        The bound is a time before everything that is left undelivered, None when nothing is.
        """
        taken, left = self.entries[:limit], self.entries[limit:]
        positions: dict[int, int] = {}
        chosen: dict[int, ChatNews] = {}
        for at, number, seq in taken:
            chat = chosen.setdefault(number, self.chats[number])
            chat.lines.append(self.lines[number][seq])
            positions[number] = at
        bound = left[0][0] - 1 if left else self.frontier
        return list(chosen.values()), positions, bound


def catch_up(cursor: Cursor, limit: int) -> Answer:
    """Answer a poll from the database and the tiers below: two queries in the ordinary case.

    Raises what the tiers raise. A cursor from before a restore is answered as if there were none.
    """
    answer = _show(cursor, limit) if cursor.shown_until else _catch_up(cursor, limit)
    return answer or first_poll(cursor.user_id, limit, reset=True)


def first_poll(user_id: UUID, limit: int, *, reset: bool = False) -> Answer:
    """Answer a poll without a cursor: the last X messages of each active chat, or of the latest."""
    moment, epoch = horizon()
    cursor = Cursor(user_id, epoch, 0, shown_until=moment)
    answer = _show(cursor, limit)
    if answer is None:
        # A restore came between the two statements.
        return first_poll(user_id, limit, reset=True)
    answer.reset = reset
    return answer


def horizon() -> tuple[int, int]:
    """Return the time (µs) such that no commit to come is dated at or before it, and the epoch."""
    moment, epoch = row(_HORIZON, {"margin": MARGIN})
    return to_micros(moment), epoch


def _catch_up(cursor: Cursor, limit: int) -> Answer | None:
    """Answer a poll with a cursor; None when the cursor is from before a restore."""
    try:
        return _since(cursor, limit, None)
    except CursorTooLong:
        # More chats were active within the margin than a cursor can name. The moment up to which
        # nothing can be committed any more is asked first; then T alone covers nearly all of them.
        moment, _ = horizon()
        return _since(cursor, limit, moment)


def _since(cursor: Cursor, limit: int, moment: int | None) -> Answer | None:
    """Answer with what is new since a cursor; with `moment`, with what is dated up to it alone."""
    now, epoch, planned = plan_news(cursor)
    if epoch != cursor.epoch:
        return None
    batch = _gather(planned, cursor, limit, moment)
    chats, positions, bound = batch.cut(limit)
    newest = max(positions.values(), default=0)
    at = max(newest, now) - scripts.MARGIN_MICROS if moment is None else moment
    moved = cursor.moved(at if bound is None else min(at, bound), positions)
    return Answer(
        chats,
        moved,
        cursors.encode(moved),
        has_more=bound is not None,
        served_from=batch.slowest or "database",
    )


def _show(cursor: Cursor, limit: int) -> Answer | None:
    """Answer with the rest of a first poll, as of its moment, then with what came after it.

    None when the cursor is from before a restore.
    """
    shown_until = cursor.shown_until
    planned = plan_first(cursor)
    batch = _gather(planned, cursor, limit, None)
    chats, positions, bound = batch.cut(limit)
    if bound is not None:
        moved = cursor.moved(bound, positions, shown_until=shown_until)
        return Answer(chats, moved, cursors.encode(moved), has_more=True, served_from=batch.slowest)
    whole = Cursor(cursor.user_id, cursor.epoch, shown_until)
    after = _catch_up(whole, limit - sum(len(chat.lines) for chat in chats))
    if after is None:
        return None
    after.chats = _joined(chats, after.chats)
    if not cursor.at and not after.has_more:
        for chat in after.chats:
            del chat.lines[: -settings.HOT_MESSAGES_PER_CHAT]
    return after


def _gather(
    planned: Iterable[Planned],
    cursor: Cursor,
    limit: int,
    moment: int | None,
) -> _Batch:
    """Read the planned seqs of each chat and put them in the order of delivery.

    Messages are delivered in the order of their times over all chats, so that T can follow. Of
    many chats some messages each are read at first, and more where that is too few to fill the
    answer: no chat can need more than `limit`.
    """
    planned = [(chat, first, last) for chat, first, last in planned if first <= last]
    few = limit
    if len(planned) * limit > MOST_READ_AT_ONCE:
        few = max(LEAST_PER_CHAT, 2 * limit // len(planned))
    while True:
        batch = _read_some(planned, cursor, few, moment)
        if few >= limit or not batch.unread or len(batch.entries) >= limit:
            return batch
        few = min(limit, few * 4)


def _read_some(
    planned: Sequence[Planned],
    cursor: Cursor,
    few: int,
    moment: int | None,
) -> _Batch:
    """Read some seqs of each chat.

    Only what is not dated after the last one read of a chat that has more is deliverable. With
    `moment`, neither is what is dated after it.
    """
    spans = [
        Span(Chat(chat.id, chat.number), first, min(last, first + few))
        for chat, first, last in planned
    ]
    reading = read(spans, cursor.user_id)
    frontiers = [] if moment is None else [moment]
    entries = []
    chats: dict[int, ChatNews] = {}
    unread = False
    for (chat, _, last), span in zip(planned, spans, strict=True):
        chats.setdefault(chat.number, chat)
        lines = reading.found(span)
        told = cursor.position(chat.number)
        entries += [(line.at, chat.number, line.seq) for line in lines if line.at > told]
        if span.last < last and lines:
            frontiers.append(lines[-1].at)
            unread = True
    entries.sort()
    frontier = min(frontiers) if frontiers else None
    late = False
    if frontier is not None:
        deliverable = [entry for entry in entries if entry[0] <= frontier]
        late = len(deliverable) < len(entries)
        entries = deliverable
    return _Batch(
        chats, entries, reading.lines, frontier if unread or late else None, reading.slowest, unread
    )


def _joined(shown: Iterable[ChatNews], after: Iterable[ChatNews]) -> list[ChatNews]:
    """Return the chats of two answers, the later's lines behind the earlier's of the same chat."""
    chats = {chat.number: chat for chat in shown}
    for chat in after:
        earlier = chats.setdefault(chat.number, chat)
        if earlier is not chat:
            earlier.lines += chat.lines
            earlier.start, earlier.end = chat.start, chat.end
    return list(chats.values())


def after_cache(cursor: Cursor, limit: int, chats: Mapping[int, ChatNews]) -> Answer | None:
    """Answer a poll whose news the cache holds whole; None when the database must be asked."""
    entries = sorted(
        (line.at, chat.number, line.seq) for chat in chats.values() for line in chat.lines
    )
    lines = {number: {line.seq: line for line in chat.lines} for number, chat in chats.items()}
    for chat in chats.values():
        chat.lines = []
    batch = _Batch(dict(chats), entries, lines, None, "cache")
    chosen, positions, bound = batch.cut(limit)
    newest = max(positions.values())
    moved = cursor.moved(newest - scripts.MARGIN_MICROS, positions)
    try:
        return Answer(chosen, moved, cursors.encode(moved), has_more=bound is not None)
    except CursorTooLong:
        return None
