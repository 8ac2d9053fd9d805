"""What a beat of the sweeper begins with: what the database, the cache and the bucket say."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from common.cache import cache
from common.database import row
from common.errors import Unavailable
from messaging import database_mark
from messaging.database_mark import Mark, NoMark
from messaging.going_back import Seen
from messaging.looks import OVERLAP
from messaging.sql import read_sql
from messaging.wire import from_micros

_STATE = read_sql("database_state.sql")
LONGEST_GAP = timedelta(minutes=5)
"""After a longer pause it is cheaper to begin a new generation than to go through it all."""


class State(NamedTuple):
    """The row of database_state.sql."""

    now: datetime
    epoch: int
    number: int
    grown_at: datetime | None
    looks: str
    newest: int
    next_transaction: int
    oldest_transaction: int
    standby: bool
    identity: str

    @property
    def mark(self) -> Mark:
        """The database's mark."""
        return Mark(self.number, self.identity, self.epoch)


class Cached(NamedTuple):
    """What the cache knows of the sweeps so far."""

    generation: bytes | None
    since: bytes | None
    told: Mark | None
    epoch: int
    vouched_at: int
    moment: int
    """The cache's clock, in ms."""

    @property
    def start(self) -> datetime | None:
        """When the last sweep looked, by the database's clock."""
        return from_micros(int(self.since)) if self.since else None

    @property
    def identity(self) -> str:
        """The database that the cache's contents are of."""
        return self.told.identity if self.told else ""

    def seen(self) -> Seen | None:
        """Return what the world has seen of the log by the cache's account."""
        if self.told is None:
            return None
        age = timedelta(milliseconds=self.moment - self.vouched_at)
        return Seen(self.told, from_cache=True, vouched=abs(age) <= LONGEST_GAP)

    def needs_new_generation(self, state: State) -> bool:
        """Say whether nothing that the cache holds can be vouched for any more."""
        return (
            self.start is None
            or self.generation is None
            or self.told is None
            or self.epoch != state.epoch
            # A clock that was set back says nothing of how long the pause was.
            or not -OVERLAP <= state.now - self.start <= LONGEST_GAP
        )


def read_cache() -> Cached:
    """Return what the cache knows: one round trip."""
    (generation, since, epoch, number, identity, ms), (seconds, micros) = cache.pipeline(
        [("HMGET", "fresh", "gen", "since", "epoch", "mark", "db", "ms"), ("TIME",)]
    )
    moment = int(seconds) * 1000 + int(micros) // 1000
    mark = database_mark.from_fields(number, identity, epoch)
    return Cached(generation, since, mark, int(epoch or 0), int(ms or 0), moment)


def with_what_is_kept(seen: Seen | None, database: Mark) -> Seen | None:
    """Return what the world has seen by the bucket's account too.

    Where the cache knows a mark, a bucket that is away is done without; else there is nothing to
    compare with, and nothing may be vouched for: raises `Unavailable`. Where what the bucket keeps
    can't be read, nothing shows which database it was of.
    """
    try:
        kept = database_mark.kept()
    except Unavailable:
        if seen is None:
            raise
        return seen
    except NoMark:
        kept = database._replace(identity="")
    if kept is None:
        return seen
    if seen is None:
        return Seen(kept, from_cache=False, vouched=False)
    return replace(seen, mark=seen.mark.beyond(kept))


def read_state() -> State:
    """Return what a beat begins with."""
    return State(*row(_STATE, ()))
