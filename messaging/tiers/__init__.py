"""The staircase: tiers from the fastest to the slowest, asked in turn for what is still missing.

A tier is one small class (`Tier`), listed in the setting `STRATA_TIERS` by dotted path as Django
lists middleware. Who reads walks the list and knows no tier by name.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from common.errors import Unavailable
from messaging.wire import CLIENT_ID_MOST_BYTES, UNBOUNDED, Line

_NOTHING: dict[int, Line] = {}


class Chat(NamedTuple):
    """A chat as the tiers know it: its id, and its number, which names it in the cache."""

    id: UUID
    number: int


class Span(NamedTuple):
    """Seqs of a chat that a reader wants, both ends included."""

    chat: Chat
    first: int
    last: int
    room: int = UNBOUNDED
    """So many bytes of messages are wanted of it: what a tier finds beyond is not looked at."""


@dataclass(slots=True)
class Reading:
    """One walk down the staircase: what is wanted, and what has been found so far.

    Of each chat `room` bytes of messages are wanted, one message at least: the first of its spans,
    or with `newest_first` the last. What lies beyond them is not missing.
    """

    spans: Sequence[Span]
    viewer: UUID
    """Who reads: the slowest tier keeps a copy for each user."""
    room: int = UNBOUNDED
    newest_first: bool = False
    partial: bool = False
    """Whether to do without what the slowest tier can't give: see `lost`."""
    lines: dict[int, dict[int, Line]] = field(default_factory=dict)
    """Chat number -> seq -> line."""
    ends: dict[int, int] = field(default_factory=dict)
    """Chat number -> the chat's last seq, as a tier that knows said together with its lines."""
    own: dict[int, set[int]] = field(default_factory=dict)
    """Chat number -> seqs whose lines are the viewer's own copies: nobody else is to get them."""
    lost: dict[int, int] = field(default_factory=dict)
    """Chat number -> the last seq that can't be had; only what follows it is wanted any more."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What a tier wants to find again when it is given lines, under the tier's name."""
    slowest: str = ""
    """The slowest tier that had to be asked."""

    def missing(self) -> list[Span]:
        """Return what is still to be found, each with the room that is left for it."""
        if not self.lines and not self.lost:
            return [span._replace(room=self.room) for span in self.spans]
        by_chat: dict[int, list[Span]] = {}
        for span in self.spans:
            found = self.lines.get(span.chat.number, _NOTHING)
            if not all(map(found.__contains__, range(span.first, span.last + 1))):
                by_chat[span.chat.number] = []
        if not by_chat:
            return []
        wanted = []
        for spans in self._wanted(by_chat).values():
            wanted += self._walk(spans)[1]
        return wanted

    def found(self, span: Span) -> list[Line]:
        """Return a span's lines in seq order, whatever their size."""
        lines = self.lines.get(span.chat.number, {})
        return [lines[seq] for seq in range(span.first, span.last + 1) if seq in lines]

    def chosen(self, chat: Chat) -> list[Line]:
        """Return a chat's lines in seq order, as many as there is room for; none is missing."""
        spans = self._wanted({chat.number: []})[chat.number]
        found = self.lines.get(chat.number, _NOTHING)
        lines = [
            found[seq] for span in spans for seq in range(span.first, span.last + 1) if seq in found
        ]
        # Nearly always all of them; the exact sizes are asked for when they may not be.
        sizes = sum([len(line.body) for line in lines])
        if sizes + CLIENT_ID_MOST_BYTES * len(lines) > self.room:
            lines = self._walk(spans)[0]
        return lines

    def add(self, chat: Chat, lines: Sequence[Line]) -> None:
        """Note lines that a tier holds."""
        self.lines.setdefault(chat.number, {}).update({line.seq: line for line in lines})

    def _wanted(self, by_chat: dict[int, list[Span]]) -> dict[int, list[Span]]:
        """Fill in the spans of each of the chats, without what is lost of them."""
        for span in self.spans:
            spans = by_chat.get(span.chat.number)
            if spans is not None:
                first = max(span.first, self.lost.get(span.chat.number, 0) + 1)
                if first <= span.last:
                    spans.append(span if first == span.first else span._replace(first=first))
        return by_chat

    def _walk(self, spans: Sequence[Span]) -> tuple[list[Line], list[Span]]:
        """Return a chat's lines in seq order, up to a hole or the room's end, and the holes."""
        step = -1 if self.newest_first else 1
        viewer = str(self.viewer).encode()
        left = self.room
        lines: list[Line] = []
        holes: list[Span] = []
        for span in spans[::step]:
            found = self.lines.get(span.chat.number, _NOTHING)
            absent: list[int] = []
            for seq in range(span.first, span.last + 1)[::step]:
                line = found.get(seq)
                if left == 0 and (lines or holes or absent):
                    break
                if line is None:
                    absent.append(seq)
                    continue
                if absent:
                    holes.append(_hole(span.chat, absent, left))
                    absent = []
                size = line.size_for(viewer)
                if not holes and (size <= left or not lines):
                    lines.append(line)
                left = max(left - size, 0)
            if absent:
                holes.append(_hole(span.chat, absent, left))
        return lines[::step], holes


def _hole(chat: Chat, absent: Sequence[int], room: int) -> Span:
    """Return the span of seqs that follow each other, either way."""
    return Span(chat, min(absent), max(absent), room)


class Tier:
    """One place where messages are kept. Subclasses hold no state between calls."""

    name = ""
    """What `X-Served-From` says."""

    def read(self, reading: Reading, missing: Sequence[Span]) -> None:
        """Add to the reading whatever this tier holds of the missing spans.

        Of each span it may stop where more than the span's room is found, from the side that the
        reading begins at; never before. A tier that is to be asked before slower ones may be unable
        to answer: then it adds nothing. The slowest raises `Unavailable` rather than pass a hole
        for the whole.
        """
        raise TypeError(f"{type(self).__name__} can't be read")

    def seq_after(self, span: Span, at: int, viewer: UUID) -> int | None:
        """Return the smallest seq of a span sent after a time (µs), or `span.last + 1`.

        Asked for what has left the database, all of it visible to the viewer. None when this tier
        does not hold such things.
        """
        return None

    def take(self, reading: Reading) -> None:
        """Keep what slower tiers found, if this tier keeps such things."""

    def warm(self) -> None:
        """Load what the first read would have to, as a process that serves does when it starts."""


@lru_cache(maxsize=1)
def staircase() -> tuple[Tier, ...]:
    """Return the tiers, the fastest first."""
    return tuple(import_string(path)() for path in settings.STRATA_TIERS)


def slower(one: str, other: str) -> str:
    """Return the slower of two tiers by their names; none is faster than any."""
    names = ["", *(tier.name for tier in staircase())]
    return max(one, other, key=names.index)


def warm() -> None:
    """Make all tiers ready, so that no request waits for what they load."""
    for tier in staircase():
        tier.warm()


def seq_after(span: Span, at: int, viewer: UUID) -> int:
    """Return the smallest seq sent after a time (µs) of a span that has left the database.

    Raises `Unavailable` when no tier can say.
    """
    for tier in staircase():
        found = tier.seq_after(span, at, viewer)
        if found is not None:
            return found
    raise Unavailable("A part of this history can't be read right now. Try again.")


def read(reading: Reading, *, skip: int = 0) -> Reading:
    """Read spans of chats from the fastest tier that holds each, and fill the faster ones.

    The first `skip` tiers have answered already. Raises `Unavailable`; a partial reading only does
    when a tier fails that is not the slowest.
    """
    asked = 0
    for asked, tier in enumerate(staircase()):
        if asked < skip:
            continue
        missing = reading.missing()
        if not missing:
            break
        try:
            tier.read(reading, missing)
        except Unavailable:
            if not reading.partial or tier is not staircase()[-1]:
                raise
            _read_what_is_left(tier, reading)
        reading.slowest = tier.name
    for span in reading.missing():
        # Whoever planned the spans knows that they exist: a hole is never passed for the whole.
        if not reading.partial:
            raise Unavailable("A part of this history can't be read right now. Try again.")
        reading.lost[span.chat.number] = span.last
    for tier in reversed(staircase()[:asked]):
        tier.take(reading)
    return reading


def _read_what_is_left(tier: Tier, reading: Reading) -> None:
    """Read each missing span backwards until the tier fails; what lies before that is lost."""
    for span in reading.missing():
        backward = Reading(
            [span], reading.viewer, room=span.room, newest_first=True,
            own=reading.own, notes=reading.notes,
        )  # fmt: skip
        with suppress(Unavailable):
            tier.read(backward, [span])
        holes = backward.missing()
        lines = [] if holes else backward.chosen(span.chat)
        if holes:
            before = holes[-1].last
            lines = [line for line in backward.found(span) if line.seq > before]
        else:
            before = lines[0].seq - 1
        reading.add(span.chat, lines)
        if before >= span.first:
            number = span.chat.number
            reading.lost[number] = max(reading.lost.get(number, 0), before)
