"""Which seqs an answer of get_messages is to be read from, before any of them is read.

The database plans. What it can't know, since the messages have left it, the slower tiers are asked:
how far a chat had come at a time. That concerns cursors older than all that the database holds of
a chat, so the ordinary poll costs nothing more for it.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.conf import settings

from common.database import rows
from common.errors import Unavailable
from messaging import scripts
from messaging.cursor import Cursor
from messaging.sql import read_sql
from messaging.tiers import Chat, Reading, Span, read, seq_after
from messaging.wire import Line, from_micros, to_micros

_PLAN = read_sql("plan.sql")
_FIRST = read_sql("first.sql")


@dataclass(slots=True)
class ChatNews:
    """One chat's part of an answer."""

    id: UUID
    number: int
    kind: str
    name: str
    start: int
    end: int
    lines: list[Line] = field(default_factory=list)


Planned = tuple[ChatNews, int, int]
"""A chat, the first and the last seq of a stretch with news."""


class _New(NamedTuple):
    """A row of plan.sql, behind the time and the epoch."""

    id: UUID
    number: int
    kind: str
    name: str
    start: int
    end: int
    first: int
    last: int
    lowest: int
    db: int

    def seqs(self, cursor: Cursor) -> tuple[int, int]:
        """Return the stretch's news, the slower tiers asked if some may have left the database."""
        if self.lowest >= self.db or self.first != min(self.db, self.last + 1):
            return self.first, self.last
        gone = Span(Chat(self.id, self.number), self.lowest, self.first - 1)
        return seq_after(gone, cursor.position(self.number), cursor.user_id), self.last


class _Shown(NamedTuple):
    """A row of first.sql."""

    id: UUID
    number: int
    kind: str
    name: str
    start: int
    end: int
    until: int
    from_seq: int
    stretches: list[tuple[int, int | None]]
    first: int
    db: int
    at: datetime | None
    unsure: bool

    def resolved(self, cursor: Cursor) -> "_Shown | None":
        """Return the row with what only a slower tier knows; None when nothing was there yet."""
        if not self.unsure:
            return self
        chat, low = Chat(self.id, self.number), max(self.first, self.start)
        moment, viewer = cursor.shown_until, cursor.user_id
        try:
            until = seq_after(Span(chat, low, self.db - 1), moment, viewer) - 1
            if until < low:
                return None
            span = Span(chat, until, until)
            (line,) = read(Reading([span], viewer)).found(span)
        except Unavailable:
            # What can't be had is not shown; pages say that it is unavailable.
            return None
        return self._replace(until=until, at=from_micros(line.at), unsure=False)


def plan_news(cursor: Cursor) -> tuple[int, int, list[Planned]]:
    """Return the database's time (µs), the epoch, and what is new since a cursor: one query.

    A cursor from before a restore has no news: its epoch is not the one returned.
    """
    found = rows(
        _PLAN,
        {
            "user": cursor.user_id,
            "at": from_micros(cursor.at),
            "numbers": list(cursor.positions),
            "positions": [from_micros(at) for at in cursor.positions.values()],
        },
    )
    now, epoch = to_micros(found[0][0]), found[0][1]
    planned: list[Planned] = []
    if epoch == cursor.epoch:
        for new in (_New(*fields) for _, _, *fields in found if fields[0] is not None):
            news = ChatNews(new.id, new.number, new.kind, new.name, new.start, new.end)
            planned.append((news, *new.seqs(cursor)))
    return now, epoch, planned


def plan_first(cursor: Cursor) -> list[Planned]:
    """Return what a first poll shows as of the cursor's moment, less what it has shown already."""
    found = rows(
        _FIRST,
        {
            "user": cursor.user_id,
            "moment": from_micros(cursor.shown_until),
            "window": timedelta(seconds=settings.ACTIVE_WINDOW_SECONDS),
            "few": scripts.FEW,
            "at": from_micros(cursor.at),
        },
    )
    shown = [_Shown(*fields) for fields in found]
    if any(chat.unsure for chat in shown):
        shown = _chosen(filter(None, (chat.resolved(cursor) for chat in shown)), cursor)
    planned: list[Planned] = []
    for chat in shown:
        seqs = last_visible(chat.stretches, chat.start, chat.until, settings.HOT_MESSAGES_PER_CHAT)
        first_visible = min(
            (max(chat.start, a) for a, b in chat.stretches if b is None or b >= chat.start),
            default=chat.start,
        )
        news = ChatNews(chat.id, chat.number, chat.kind, chat.name, first_visible, chat.end)
        for first, last in seqs:
            begin = max(first, chat.from_seq)
            if chat.from_seq == chat.db > first:
                # What has left the database counted as sent before: when was it?
                gone = Span(Chat(chat.id, chat.number), first, min(last, chat.db - 1))
                with suppress(Unavailable):
                    begin = seq_after(gone, cursor.position(chat.number), cursor.user_id)
            planned.append((news, begin, last))
    return planned


def _chosen(chats: Iterable[_Shown], cursor: Cursor) -> list[_Shown]:
    """Return the active ones among a user's chats, or else the few latest: as first.sql does."""
    dated = sorted(
        ((to_micros(chat.at), -chat.number, chat) for chat in chats if chat.at), reverse=True
    )
    active = cursor.shown_until - settings.ACTIVE_WINDOW_SECONDS * 1_000_000
    latest = [chat for at, _, chat in dated if at > active]
    return latest or [chat for _, _, chat in dated[: scripts.FEW]]


def last_visible(
    stretches: Iterable[tuple[int, int | None]], start: int, until: int, most: int
) -> list[tuple[int, int]]:
    """Return the last `most` seqs up to `until` that the stretches show, as (first, last) pairs."""
    spans: list[tuple[int, int]] = []
    for first, last in sorted(stretches, reverse=True):
        high = until if last is None else min(last, until)
        low = max(first, start, high - most + 1)
        if low <= high and most > 0:
            spans.append((low, high))
            most -= high - low + 1
    return spans[::-1]
