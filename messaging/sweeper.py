"""The sweeper: makes good what was committed but not told to the cache, and vouches for the rest.

A process may die, or the cache be away, between a commit and its telling. Every second or two the
sweeper compares what was lately committed with what the cache was told, tells it the difference,
and then writes the hash `fresh`: up to this moment (cache clock) everything committed is in the
cache. Scripts believe an entry only while that moment is recent (`common/lua/fresh.lua`), so a
sweeper that is away, or a cache that came back with old contents, makes polls slower, never wrong.

What it needs to go on is in the cache itself: a cache that lost it, or that was away for long, gets
a new generation, and nothing of an older one is believed any more.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_hex
from typing import NamedTuple
from uuid import UUID

import orjson

from accounts import selectors as accounts
from accounts import tokens
from common.cache import cache
from common.database import row, rows
from messaging import scripts
from messaging.eviction import Eviction
from messaging.looks import EVERY, OVERLAP, Look, begin
from messaging.services import readers_of
from messaging.sql import read_sql
from messaging.telling import Told, tell_or_raise
from messaging.tiers import Chat
from messaging.wire import from_micros, make_line, to_micros

logger = logging.getLogger(__name__)
_RECENT = read_sql("recently_written.sql")
_STATE = read_sql("database_state.sql")
_GROW = read_sql("grow_mark.sql")
_RAISE_FLOOR = "UPDATE messaging_logstate SET floor = %s WHERE id = 1 AND floor < %s RETURNING id"

LONGEST_GAP = timedelta(minutes=5)
"""After a longer pause it is cheaper to begin a new generation than to go through it all."""
MOST_BEHIND = 100_000
"""So many messages are gone through at once, where no recent look says from where on to look."""
CHATS_AT_ONCE = 500
COUNTS_KEY = "ops:sweeps"


@dataclass(slots=True)
class Sweep:
    """What one sweep did."""

    chats: int = 0
    mended: int = 0
    forgotten: int = 0
    new_generation: bool = False
    evicted: int = 0
    waiting: bool = False
    """Whether it is not known yet from where on to look: nothing was vouched for."""


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


def read_state() -> State:
    """Return what a beat begins with."""
    return State(*row(_STATE, ()))


@dataclass(slots=True)
class Sweeper:
    """One sweeper; any number may run at once."""

    seen: dict[int, int] = field(default_factory=dict)
    """Chat number -> last seq, at the sweep before: a list behind that one is not just late."""
    eviction: Eviction = field(default_factory=Eviction)

    def sweep(self) -> Sweep:
        """Bring the cache up to what is committed; raises `CacheUnavailable`, database errors."""
        done = Sweep()
        full = self.eviction.run()
        done.evicted = self.eviction.evicted
        (generation, since, epoch_told), (seconds, micros) = cache.pipeline(
            [("HMGET", "fresh", "gen", "since", "epoch"), ("TIME",)]
        )
        moment = int(seconds) * 1000 + int(micros) // 1000
        state = read_state()
        now, epoch = state.now, state.epoch
        after = _note_look(state)
        start = from_micros(int(since)) if since else None
        if (
            start is None
            or generation is None
            or int(epoch_told or 0) != epoch
            # A clock that was set back says nothing of how long the pause was.
            or not -OVERLAP <= now - start <= LONGEST_GAP
        ):
            generation, start = token_hex(8).encode(), now
            done.new_generation = True
        if state.newest - after > MOST_BEHIND and (done.new_generation or not after):
            # There will be a look to begin from in a moment; until then the database is asked.
            done.waiting = True
            return done
        if done.new_generation:
            logger.info("the cache begins a new generation")
        self._mend(after, done)
        revoked = accounts.tokens_revoked_since(start - OVERLAP)
        if revoked and not tokens.forget(revoked):
            return done
        scripts.vouch(
            [], [generation, moment, to_micros(now), epoch, int(full), "sweeps", 1, *_counted(done)]
        )
        return done

    def _mend(self, after: int, done: Sweep) -> None:
        """Tell the cache whatever it was not told of the messages with larger ids."""
        seen: dict[int, int] = {}
        found = [_Written(*fields) for fields in rows(_RECENT, {"after": after})]
        done.chats = len(found)
        _raise_floor(max((written.sent_at for written in found), default=None))
        for start in range(0, len(found), CHATS_AT_ONCE):
            portion = found[start : start + CHATS_AT_ONCE]
            told = cache.pipeline(
                [("HMGET", f"c:{written.number}", "told", "end") for written in portion]
            )
            for written, (last_told, end) in zip(portion, told, strict=True):
                seen[written.number] = written.seq
                behind = end is not None and int(end) < self.seen.get(written.number, 0)
                if behind:
                    cache.execute(
                        "DEL", f"c:{written.number}", f"m:{written.number}", f"w:{written.number}"
                    )
                if behind or int(last_told or 0) < to_micros(written.sent_at):
                    written.tell()
                    done.mended += 1
        done.forgotten = _forget_moved(found)
        self.seen = seen


def _note_look(state: State) -> int:
    """Return the id after which to look; note another look where the last one is old enough."""
    looks = [Look(*fields) for fields in orjson.loads(state.looks)]
    after, kept = begin(looks, state.now, state.oldest_transaction)
    if state.grown_at is None or not timedelta() <= state.now - state.grown_at <= EVERY:
        kept.append(Look(to_micros(state.now), state.newest, state.next_transaction))
        rows(
            _GROW,
            {
                "number": state.number,
                "every": EVERY,
                "looks": orjson.dumps([*map(list, kept)]).decode(),
            },
        )
    return after


@dataclass(slots=True)
class _Written:
    """A row of recently_written.sql."""

    id: UUID
    number: int
    wide: bool
    changes: str
    widened: bool
    seq: int
    sender_id: UUID
    kind: str
    text: str
    sent_at: datetime
    client_id: str | None
    subject_id: UUID | None

    def tell(self) -> None:
        """Tell the cache of the message, as its sender should have."""
        line = make_line(
            chat_id=str(self.id),
            seq=self.seq,
            sender_id=str(self.sender_id),
            kind=self.kind,
            text=self.text,
            at=to_micros(self.sent_at),
            client_id=self.client_id,
            subject_id=str(self.subject_id) if self.subject_id else None,
        )
        tell_or_raise(
            Told(Chat(self.id, self.number), line, "" if self.wide else readers_of(self.id))
        )

    def moves(self) -> Iterator[tuple[str, str]]:
        """Yield the key that says a membership change was told, and the user, for each."""
        for change in filter(None, self.changes.split(",")):
            seq, user = change.split(" ")
            yield f"x:{self.number}:{seq}", user


def _counted(done: Sweep) -> Iterator[str | int]:
    """Yield name and number of what a sweep adds to what all sweepers have done, for /metrics."""
    for name in ("mended", "forgotten", "new_generation", "evicted"):
        if number := int(getattr(done, name)):
            yield name
            yield number


def _forget_moved(found: Sequence[_Written]) -> int:
    """Forget the indexes of users whose membership changed, where that was not told already."""
    moves = [(written, key, user) for written in found for key, user in written.moves()]
    told = cache.pipeline([("GET", key) for _, key, _ in moves])
    forgotten = 0
    for (written, key, user), mark in zip(moves, told, strict=True):
        if mark is not None:
            continue
        users = {user}
        if written.widened:
            users |= {entry.split(" ")[0] for entry in readers_of(written.id).split(",") if entry}
        scripts.forget([key], [*users])
        forgotten += len(users)
    return forgotten


def _raise_floor(newest: datetime | None) -> None:
    """Note the latest date given, below which no message will be dated whatever the clock says."""
    if newest is not None:
        rows(_RAISE_FLOOR, (newest, newest))
