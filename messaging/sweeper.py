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
from uuid import UUID

import orjson

from accounts import selectors as accounts
from accounts import tokens
from common.cache import cache
from common.database import rows
from common.errors import Unavailable
from messaging import database_mark, scripts
from messaging.database_mark import Mark
from messaging.eviction import Eviction
from messaging.going_back import Cause, Seen, judge, start_over
from messaging.looks import EVERY, OVERLAP, Look, begin
from messaging.services import readers_of
from messaging.sql import read_sql
from messaging.sweeper_state import Cached, State, read_cache, read_state, with_what_is_kept
from messaging.telling import Told, tell_or_raise
from messaging.tiers import Chat
from messaging.wire import make_line, to_micros

logger = logging.getLogger(__name__)
_RECENT = read_sql("recently_written.sql")
_GROW = read_sql("grow_mark.sql")
_RAISE_FLOOR = "UPDATE messaging_logstate SET floor = %s WHERE id = 1 AND floor < %s RETURNING id"

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
    vouched: bool = False
    went_back: bool = False
    """Whether the database was found to have gone back in time."""


@dataclass(slots=True)
class Sweeper:
    """One sweeper; any number may run at once."""

    seen: dict[int, int] = field(default_factory=dict)
    """Chat number -> last seq, at the sweep before: a list behind that one is not just late."""
    compared: bool = False
    """Whether the database was compared with what is kept in the bucket."""
    starting_over: bool = False
    eviction: Eviction = field(default_factory=Eviction)

    def sweep(self) -> Sweep:
        """Bring the cache up to what is committed; raises `CacheUnavailable`, database errors.

        Nothing is vouched for whose mark has not been compared; raises `Unavailable` where that
        can't be done.
        """
        done = Sweep()
        full = self.eviction.run()
        done.evicted = self.eviction.evicted
        cached = read_cache()
        state = read_state()
        if state.standby:
            done.waiting = True
            return done
        new_generation = cached.needs_new_generation(state)
        seen = cached.seen()
        if new_generation or not self.compared:
            seen = with_what_is_kept(seen, state.mark)
        if seen is not None and (cause := judge(state.mark, seen)):
            return self._start_over(state, seen, cause)
        self.compared = True
        after, number = _note_look(state)
        if state.newest - after > MOST_BEHIND and (new_generation or not after):
            # There will be a look to begin from in a moment; until then the database is asked.
            done.waiting = True
            return done
        self._mend(after, done)
        start = cached.start if cached.start and not new_generation else state.now
        revoked = accounts.tokens_revoked_since(start - OVERLAP)
        if revoked and not tokens.forget(revoked):
            return done
        again = read_state()
        if (again.identity, again.epoch) != (state.identity, state.epoch) or again.number < number:
            # Another database answers by now: it is compared at the next beat.
            return done
        self._vouch(cached, state, number, done, new_generation=new_generation, full=full)
        if done.vouched and (seen is None or seen.mark.identity != state.identity):
            _keep(state.mark)
        return done

    def _start_over(self, state: State, seen: Seen, cause: Cause) -> Sweep:
        """Do what has to be done about a database that has gone back, then sweep as ever."""
        self.seen, self.starting_over = {}, not self.starting_over
        acted = start_over(state.mark, seen, cause, state.grown_at)
        # Once: where two databases answer in turn, there is no end to it in one beat.
        done = self.sweep() if self.starting_over else Sweep()
        self.starting_over = False
        done.went_back = acted or done.went_back
        return done

    def _vouch(
        self,
        cached: Cached,
        state: State,
        number: int,
        done: Sweep,
        *,
        new_generation: bool,
        full: bool,
    ) -> None:
        """Say up to when everything committed is in the cache, unless somebody has overtaken us."""
        before = cached.generation or b""
        generation = token_hex(8).encode() if new_generation else before
        done.new_generation = new_generation
        found = (before, cached.identity)
        word = (
            generation, cached.moment, to_micros(state.now), state.epoch, number, state.identity,
            int(full),
        )  # fmt: skip
        done.vouched = bool(scripts.vouch([], [*found, *word, "sweeps", 1, *_counted(done)]))
        if done.vouched and new_generation:
            logger.info("the cache begins a new generation")

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


def _keep(mark: Mark) -> None:
    """Have a mark kept outside; where that is away the next backup does it."""
    try:
        database_mark.keep(mark)
    except Unavailable as error:
        logger.info("the mark is not kept in the bucket yet: %s", error)


def _note_look(state: State) -> tuple[int, int]:
    """Return the id after which to look, and the mark's number.

    Where the last look is old enough another one is noted, and the mark grows.
    """
    looks = [Look(*fields) for fields in orjson.loads(state.looks)]
    after, kept = begin(looks, state.now, state.oldest_transaction)
    if state.grown_at is None or not timedelta() <= state.now - state.grown_at <= EVERY:
        kept.append(Look(to_micros(state.now), state.newest, state.next_transaction))
        noted = orjson.dumps([list(look) for look in kept]).decode()
        grown = rows(_GROW, {"number": state.number, "every": EVERY, "looks": noted})
        if grown:
            return after, grown[0][0]
    return after, state.number


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
    for name in ("mended", "forgotten", "new_generation", "evicted", "went_back"):
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
