"""The index of a chat's hours and objects, made anew of what a restore has read."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from archive.copies import Copy
from archive.hours import hour_start
from archive.sql import read_sql
from common.database import row

_INDEX = read_sql("restore_index.sql")
INDEXED_AT_ONCE = 1000
"""How many objects are recorded at once."""


class Bounds:
    """The first and the last seq of an hour and their times."""

    __slots__ = ("first", "first_at", "last", "last_at")

    def __init__(self) -> None:
        self.first = self.last = 0
        self.first_at = self.last_at = ""

    def take(self, seq: int, at: str) -> None:
        """Note a message, given in seq order."""
        if not self.first:
            self.first, self.first_at = seq, at
        self.last, self.last_at = seq, at


class Index:
    """What the index is to know of the hours that were read, recorded some at a time."""

    def __init__(self, chat_id: UUID) -> None:
        self._chat_id = chat_id
        self._hours: list[tuple[datetime, Bounds]] = []
        self._copies: list[tuple[datetime, Copy]] = []

    def add(self, hour: int, bounds: Bounds, copies: Iterable[Copy]) -> None:
        """Take an hour in, and the copies of it that are where they belong."""
        start = hour_start(hour)
        self._hours.append((start, bounds))
        self._copies += [(start, copy) for copy in copies]

    @property
    def full(self) -> bool:
        """Whether it is time to record."""
        return len(self._copies) >= INDEXED_AT_ONCE

    def write(self) -> None:
        """Record what was taken in."""
        if not self._hours:
            return
        bounds = [one for _, one in self._hours]
        copies = [copy for _, copy in self._copies]
        row(
            _INDEX,
            {
                "chat": self._chat_id,
                "hours": [start for start, _ in self._hours],
                "firsts": [one.first for one in bounds],
                "lasts": [one.last for one in bounds],
                "first_ats": [one.first_at for one in bounds],
                "last_ats": [one.last_at for one in bounds],
                "of_hours": [start for start, _ in self._copies],
                "users": [copy.user_id for copy in copies],
                "object_firsts": [copy.facts.first for copy in copies],
                "object_lasts": [copy.facts.last for copy in copies],
                "counts": [copy.facts.count for copy in copies],
                "sizes": [copy.size for copy in copies],
                "digests": [bytes.fromhex(copy.facts.sha256) for copy in copies],
                "etags": [copy.etag for copy in copies],
                "generations": [copy.generation for copy in copies],
            },
        )
        self._hours, self._copies = [], []
