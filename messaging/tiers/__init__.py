"""The staircase: tiers from the fastest to the slowest, asked in turn for what is still missing.

A tier is one small class (`Tier`), listed in the setting `STRATA_TIERS` by dotted path as Django
lists middleware. Who reads walks the list and knows no tier by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from common.errors import Unavailable
from messaging.wire import Line


class Chat(NamedTuple):
    """A chat as the tiers know it: its id, and its number, which names it in the cache."""

    id: UUID
    number: int


class Span(NamedTuple):
    """Seqs of a chat that a reader wants, both ends included."""

    chat: Chat
    first: int
    last: int


@dataclass(slots=True)
class Reading:
    """One walk down the staircase: what is wanted, and what has been found so far."""

    spans: Sequence[Span]
    viewer: UUID
    """Who reads: the slowest tier keeps a copy for each user."""
    lines: dict[int, dict[int, Line]] = field(default_factory=dict)
    """Chat number -> seq -> line."""
    ends: dict[int, int] = field(default_factory=dict)
    """Chat number -> the chat's last seq, as a tier that knows said together with its lines."""
    own: dict[int, set[int]] = field(default_factory=dict)
    """Chat number -> seqs whose lines are the viewer's own copies: nobody else is to get them."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What a tier wants to find again when it is given lines, under the tier's name."""
    slowest: str = ""
    """The slowest tier that had to be asked."""

    def missing(self) -> list[Span]:
        """Return the spans that are not found whole, narrowed to what is missing of them."""
        wanted = []
        for span in self.spans:
            found = self.lines.get(span.chat.number)
            if not found:
                wanted.append(span)
                continue
            absent = [seq for seq in range(span.first, span.last + 1) if seq not in found]
            if absent:
                wanted.append(Span(span.chat, absent[0], absent[-1]))
        return wanted

    def found(self, span: Span) -> list[Line]:
        """Return a span's lines in seq order."""
        lines = self.lines.get(span.chat.number, {})
        return [lines[seq] for seq in range(span.first, span.last + 1) if seq in lines]

    def add(self, chat: Chat, lines: Sequence[Line]) -> None:
        """Note lines that a tier holds."""
        self.lines.setdefault(chat.number, {}).update({line.seq: line for line in lines})


class Tier:
    """One place where messages are kept. Subclasses hold no state between calls."""

    name = ""
    """What `X-Served-From` says."""

    def read(self, reading: Reading, missing: Sequence[Span]) -> None:
        """Add to the reading whatever this tier holds of the missing spans.

        A tier that is to be asked before slower ones may be unable to answer: then it adds
        nothing. The slowest raises `Unavailable` rather than pass a hole for the whole.
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


def read(
    spans: Sequence[Span], viewer: UUID, *, known: Reading | None = None, skip: int = 0
) -> Reading:
    """Read spans of chats from the fastest tier that holds each, and fill the faster ones.

    `known` is a reading that the first `skip` tiers have answered already.
    """
    reading = known or Reading(spans, viewer)
    asked = 0
    for asked, tier in enumerate(staircase()):
        if asked < skip:
            continue
        missing = reading.missing()
        if not missing:
            break
        tier.read(reading, missing)
        reading.slowest = tier.name
    if reading.missing():
        # Whoever planned the spans knows that they exist: a hole is never passed for the whole.
        raise Unavailable("A part of this history can't be read right now. Try again.")
    for tier in reversed(staircase()[:asked]):
        tier.take(reading)
    return reading
