"""get_messages: what is new to a user since a cursor, each message once and in order.

Two ways to the same answer. The cache's script answers a poll by itself when it is certain
(`poll.lua`); whatever it is not certain of is planned by the database and read down the staircase.
`docs/cursor.md` says why nothing is lost or doubled between the two.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings

from common.database import row
from messaging import cursor as cursors
from messaging import scripts
from messaging.cursor import Cursor, CursorTooLong
from messaging.delivery import Batch, Bounds, gather
from messaging.planning import ChatNews, plan_first, plan_news
from messaging.sql import read_sql
from messaging.tiers import slower
from messaging.wire import to_micros

_HORIZON = read_sql("horizon.sql")
MARGIN = timedelta(microseconds=scripts.MARGIN_MICROS)


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


def catch_up(cursor: Cursor, limit: int) -> Answer:
    """Answer a poll from the database and the tiers below: two queries in the ordinary case.

    Raises what the tiers raise. A cursor from before a restore is answered as if there were none.
    """
    bounds = Bounds(limit)
    answer = _show(cursor, bounds) if cursor.shown_until else _catch_up(cursor, bounds)
    return answer or first_poll(cursor.user_id, limit, reset=True)


def first_poll(user_id: UUID, limit: int, *, reset: bool = False) -> Answer:
    """Answer a poll without a cursor: the last X messages of each active chat, or of the latest."""
    moment, epoch = horizon()
    cursor = Cursor(user_id, epoch, 0, shown_until=moment)
    answer = _show(cursor, Bounds(limit))
    if answer is None:
        # A restore came between the two statements.
        return first_poll(user_id, limit, reset=True)
    answer.reset = reset
    return answer


def horizon() -> tuple[int, int]:
    """Return the time (µs) such that no commit to come is dated at or before it, and the epoch."""
    moment, epoch = row(_HORIZON, {"margin": MARGIN})
    return to_micros(moment), epoch


def _catch_up(cursor: Cursor, bounds: Bounds) -> Answer | None:
    """Answer a poll with a cursor; None when the cursor is from before a restore."""
    try:
        return _since(cursor, bounds, None)
    except CursorTooLong:
        # More chats were active within the margin than a cursor can name. The moment up to which
        # nothing can be committed any more is asked first; then T alone covers nearly all of them.
        moment, _ = horizon()
        return _since(cursor, bounds, moment)


def _since(cursor: Cursor, bounds: Bounds, moment: int | None) -> Answer | None:
    """Answer with what is new since a cursor; with `moment`, with what is dated up to it alone."""
    now, epoch, planned = plan_news(cursor)
    if epoch != cursor.epoch:
        return None
    batch = gather(planned, cursor, bounds, moment=moment)
    chats, positions, bound = batch.cut(bounds, str(cursor.user_id).encode())
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


def _show(cursor: Cursor, bounds: Bounds) -> Answer | None:
    """Answer with the rest of a first poll, as of its moment, then with what came after it.

    None when the cursor is from before a restore. What is shown is a view of history, so a part of
    it that can't be had is left out, and pages say that it is unavailable; a chat with nothing else
    to show is named all the same.
    """
    shown_until = cursor.shown_until
    planned = plan_first(cursor)
    batch = gather(planned, cursor, bounds, partial=True)
    viewer = str(cursor.user_id).encode()
    chats, positions, bound = batch.cut(bounds, viewer)
    if not cursor.at:
        chats += [chat for chat in batch.lost if not chat.lines]
    if bound is not None:
        moved = cursor.moved(bound, positions, shown_until=shown_until)
        return Answer(chats, moved, cursors.encode(moved), has_more=True, served_from=batch.slowest)
    whole = Cursor(cursor.user_id, cursor.epoch, shown_until)
    after = _catch_up(whole, bounds.less(chats, viewer))
    if after is None:
        return None
    after.chats = _joined(chats, after.chats)
    after.served_from = slower(batch.slowest, after.served_from)
    if not cursor.at and not after.has_more:
        for chat in after.chats:
            del chat.lines[: -settings.HOT_MESSAGES_PER_CHAT]
    return after


def _joined(shown: Iterable[ChatNews], after: Iterable[ChatNews]) -> list[ChatNews]:
    """Return the chats of two answers, the later's lines behind the earlier's of the same chat."""
    chats = {chat.number: chat for chat in shown}
    for chat in after:
        earlier = chats.setdefault(chat.number, chat)
        if earlier is not chat:
            earlier.lines += chat.lines
            earlier.start, earlier.end = chat.start, chat.end
    return list(chats.values())


def after_cache(
    cursor: Cursor, limit: int, chats: Mapping[int, ChatNews], frontier: int | None
) -> Answer | None:
    """Answer a poll with news that the cache holds; None when the database must be asked.

    They are all there is up to the frontier, and in each chat up to its last; without a frontier
    they are all.
    """
    entries = sorted(
        (line.at, chat.number, line.seq) for chat in chats.values() for line in chat.lines
    )
    lines = {number: {line.seq: line for line in chat.lines} for number, chat in chats.items()}
    for chat in chats.values():
        chat.lines = []
    batch = Batch(dict(chats), entries, lines, frontier)
    chosen, positions, bound = batch.cut(Bounds(limit), str(cursor.user_id).encode())
    newest = max(positions.values())
    at = newest - scripts.MARGIN_MICROS
    moved = cursor.moved(at if bound is None else min(at, bound), positions)
    try:
        return Answer(chosen, moved, cursors.encode(moved), has_more=bound is not None)
    except CursorTooLong:
        return None
