"""The messages of many chats in the order of their times, as many as one answer takes.

The cursor's time T can only follow what is delivered in that order (`docs/cursor.md`). So the chats
are read side by side, a part of each at a time: what an answer has in memory is bounded by its size
and by the chats that are open at once, however many chats have news and however long they are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from common.database import rows
from messaging.cursor import Cursor
from messaging.planning import ChatNews, Planned
from messaging.sql import read_sql
from messaging.tiers import Chat, Reading, Span, read, slower
from messaging.wire import ANSWER_MAX_BYTES, Line

_TIMES = read_sql("times.sql")
LEAST_PER_CHAT = 8
MOST_READ_AT_ONCE = 2_000
CHATS_AT_ONCE = 64
"""Of more chats than that the ones whose news begin first are read first."""
PART_BYTES = 64 * 1024
"""So much is read of a chat at least, where it has so much, so that few parts are enough."""
READ_ON_AT_ONCE = 8
"""How many chats are read on together, when the answer can't go on without one of them."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one answer may hold."""

    limit: int
    """Messages."""
    room: int = ANSWER_MAX_BYTES
    """Bytes of messages."""
    least: int = 1
    """How many messages go in whatever their size: one, so that every answer gets on."""

    def less(self, chats: Iterable[ChatNews], viewer: bytes) -> "Bounds":
        """Return what may follow these in the same answer."""
        lines = [line for chat in chats for line in chat.lines]
        room = self.room - sum(line.size_for(viewer) for line in lines)
        return Bounds(self.limit - len(lines), max(room, 0), 0 if lines else self.least)


@dataclass(slots=True)
class Batch:
    """Lines to choose from, and how far they are all there is."""

    chats: dict[int, ChatNews]
    entries: list[tuple[int, int, int]]
    """(time, chat number, seq) in the order of delivery, all of them deliverable."""
    lines: dict[int, dict[int, Line]]
    frontier: int | None
    """When lines are left for later: nothing of them is dated at or before this."""
    slowest: str = ""
    lost: list[ChatNews] = field(default_factory=list)
    """Chats of which a part can't be had right now, and is left out."""

    def cut(
        self, bounds: Bounds, viewer: bytes
    ) -> tuple[list[ChatNews], dict[int, int], int | None]:
        """Return what goes into the answer by chat, each chat's new position, and a bound.

        The bound is a time before everything that is left undelivered, None when nothing is.
        """
        positions: dict[int, int] = {}
        chosen: dict[int, ChatNews] = {}
        room = bounds.room
        bound = self.frontier
        for place, (at, number, seq) in enumerate(self.entries):
            line = self.lines[number][seq]
            room -= line.size_for(viewer)
            if place >= bounds.limit or (room < 0 and place >= bounds.least):
                bound = at - 1 if bound is None else min(at - 1, bound)
                break
            chosen.setdefault(number, self.chats[number]).lines.append(line)
            positions[number] = at
        return list(chosen.values()), positions, bound


@dataclass(slots=True)
class _Source:
    """A chat with news: what is still to be read of it."""

    news: ChatNews
    chat: Chat
    spans: list[Span] = field(default_factory=list)
    begins: int = 0
    """Nothing of it is dated before this."""
    read_to: int = 0
    """The time of the last message that was read."""

    def part(self, most: int) -> list[Span]:
        """Return the spans of the next `most` messages."""
        part = []
        for span in self.spans:
            part.append(span._replace(last=min(span.last, span.first + most - 1)))
            most -= part[-1].last - span.first + 1
            if most <= 0:
                break
        return part

    def note(self, lines: Sequence[Line], lost: int) -> None:
        """Take from what is to be read what was read, or can't be."""
        upto = max(lines[-1].seq if lines else 0, lost)
        self.spans = [
            span._replace(first=max(span.first, upto + 1))
            for span in self.spans
            if span.last > upto
        ]
        if lines:
            self.read_to = lines[-1].at


class _Gathering:
    """One answer's reading of its chats."""

    def __init__(self, cursor: Cursor, bounds: Bounds, moment: int | None, partial: bool) -> None:
        self.cursor = cursor
        self.bounds = bounds
        self.moment = moment
        self.partial = partial
        self.waiting: list[_Source] = []
        self.opened: list[_Source] = []
        self.batch = Batch({}, [], {}, None)
        self.viewer = str(cursor.user_id).encode()
        self.entries: list[tuple[int, int, int]] = []
        self.is_lost: set[int] = set()

    def run(self, planned: Iterable[Planned]) -> Batch:
        """Read until there is enough for the answer, or nothing is left."""
        self.waiting = _sources(planned)
        count = len(self.waiting)
        if count > CHATS_AT_ONCE:
            self._sort_by_time()
        few = limit = self.bounds.limit
        if count * limit > MOST_READ_AT_ONCE:
            few = max(LEAST_PER_CHAT, 2 * limit // count)
        room = max(PART_BYTES, min(self.bounds.room, 2 * self.bounds.room // max(count, 1)))
        sources = self._open()
        while sources:
            # One more than is asked for says whether there is more.
            self._read(sources, few + 1, room)
            frontier = self._settle()
            if frontier is None or frontier == self.moment or self._is_enough():
                break
            few = limit
            room = max(PART_BYTES, self.bounds.room // READ_ON_AT_ONCE)
            sources = self._blocking(frontier)
        return self.batch

    def _sort_by_time(self) -> None:
        """Put first the chats whose news begin first."""
        found = dict(
            rows(
                _TIMES,
                {
                    "numbers": [source.chat.number for source in self.waiting],
                    "chats": [source.chat.id for source in self.waiting],
                    "seqs": [source.spans[0].first for source in self.waiting],
                },
            )
        )
        # What has left the database is read for its time alone.
        gone = [source for source in self.waiting if source.chat.number not in found]
        for place in range(0, len(gone), CHATS_AT_ONCE):
            spans = [
                source.spans[0]._replace(last=source.spans[0].first)
                for source in gone[place : place + CHATS_AT_ONCE]
            ]
            reading = read(Reading(spans, self.cursor.user_id, partial=self.partial))
            for span in spans:
                for line in reading.found(span):
                    found[span.chat.number] = line.at
        for source in self.waiting:
            source.begins = found.get(source.chat.number, 0)
        self.waiting.sort(key=lambda source: source.begins)

    def _open(self) -> list[_Source]:
        """Return the next chats to begin with."""
        sources = self.waiting[:CHATS_AT_ONCE]
        del self.waiting[:CHATS_AT_ONCE]
        self.opened += sources
        return sources

    def _read(self, sources: Sequence[_Source], most: int, room: int) -> None:
        """Read a part of each."""
        spans = [span for source in sources for span in source.part(most)]
        user_id = self.cursor.user_id
        reading = read(Reading(spans, user_id, room=room, partial=self.partial))
        self.batch.slowest = slower(self.batch.slowest, reading.slowest)
        for source in sources:
            number = source.chat.number
            lines = reading.chosen(source.chat)
            source.note(lines, reading.lost.get(number, 0))
            if number in reading.lost and number not in self.is_lost:
                self.is_lost.add(number)
                self.batch.lost.append(source.news)
            self.batch.chats[number] = source.news
            self.batch.lines.setdefault(number, {}).update({line.seq: line for line in lines})
            told = self.cursor.position(number)
            self.entries += [(line.at, number, line.seq) for line in lines if line.at > told]

    def _settle(self) -> int | None:
        """Say which of the entries are deliverable; return the frontier, None when all is read.

        Nothing is that is dated after the last one read of a chat that has more, or after the
        moment.
        """
        frontiers = [source.read_to for source in self.opened if source.spans]
        if self.waiting:
            frontiers.append(self.waiting[0].begins - 1)
        unread = bool(frontiers)
        if self.moment is not None:
            frontiers.append(self.moment)
        self.entries.sort()
        batch = self.batch
        batch.entries = self.entries
        if not frontiers:
            return None
        frontier = min(frontiers)
        batch.entries = [entry for entry in self.entries if entry[0] <= frontier]
        late = len(batch.entries) < len(self.entries)
        batch.frontier = frontier if unread or late else None
        return frontier if unread else None

    def _is_enough(self) -> bool:
        """Say whether the deliverable entries fill the answer."""
        bounds, batch = self.bounds, self.batch
        if len(batch.entries) >= bounds.limit:
            return True
        sizes = (batch.lines[number][seq].size_for(self.viewer) for _, number, seq in batch.entries)
        return len(batch.entries) > bounds.least and sum(sizes) > bounds.room

    def _blocking(self, frontier: int) -> list[_Source]:
        """Return the chats without whose next messages the answer can't go on."""
        if self.waiting and self.waiting[0].begins - 1 == frontier:
            return self._open()
        ahead: dict[int, int] = {}
        for at, number, seq in self.entries:
            if at > frontier:
                size = self.batch.lines[number][seq].size_for(self.viewer)
                ahead[number] = ahead.get(number, 0) + size
        wanting = [
            source
            for source in self.opened
            if source.spans and ahead.get(source.chat.number, 0) < PART_BYTES
        ]
        return sorted(wanting, key=lambda source: source.read_to)[:READ_ON_AT_ONCE]


def gather(
    planned: Iterable[Planned],
    cursor: Cursor,
    bounds: Bounds,
    *,
    moment: int | None = None,
    partial: bool = False,
) -> Batch:
    """Read the planned seqs of each chat and put them in the order of delivery.

    With `moment` nothing dated after it is deliverable. With `partial` what the slowest tier can't
    give is left out and named in `lost`, where else `Unavailable` is raised.
    """
    return _Gathering(cursor, bounds, moment, partial).run(planned)


def _sources(planned: Iterable[Planned]) -> list[_Source]:
    """Return the chats that have news, each with its stretches in seq order."""
    sources: dict[int, _Source] = {}
    for news, first, last in planned:
        if first <= last:
            chat = Chat(news.id, news.number)
            source = sources.setdefault(news.number, _Source(news, chat))
            source.spans.append(Span(chat, first, last))
    for source in sources.values():
        source.spans.sort(key=lambda span: span.first)
    return list(sources.values())
