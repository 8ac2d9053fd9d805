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
from typing import Any
from uuid import UUID

from accounts import selectors as accounts
from accounts import tokens
from common.cache import cache
from common.database import row, rows
from messaging.services import readers_of
from messaging.sql import read_sql
from messaging.telling import Told, tell_or_raise
from messaging.tiers import Chat
from messaging.wire import from_micros, make_line, to_micros

logger = logging.getLogger(__name__)
_RECENT = read_sql("recently_written.sql")
_STATE = (
    "SELECT statement_timestamp(), epoch,"
    " (SELECT sent_at FROM messaging_message ORDER BY id DESC LIMIT 1)"
    " FROM messaging_logstate WHERE id = 1"
)
_RAISE_FLOOR = "UPDATE messaging_logstate SET floor = %s WHERE id = 1 AND floor < %s RETURNING id"

OVERLAP = timedelta(seconds=15)
"""How far each look goes back beyond the last one.

A message is dated and gets its id in a transaction that lasts 5 s at most, so one that was not
committed at the last look is dated less than that before it, and its id is out of order by no more
than that again.
"""
LONGEST_GAP = timedelta(minutes=5)
"""After a longer pause it is cheaper to begin a new generation than to go through it all."""
CHATS_AT_ONCE = 500
COUNTS_KEY = "ops:sweeps"


@dataclass(slots=True)
class Sweep:
    """What one sweep did."""

    chats: int = 0
    mended: int = 0
    forgotten: int = 0
    new_generation: bool = False


@dataclass(slots=True)
class Sweeper:
    """One sweeper; any number may run at once."""

    seen: dict[int, int] = field(default_factory=dict)
    """Chat number -> last seq, at the sweep before: a list behind that one is not just late."""

    def sweep(self) -> Sweep:
        """Bring the cache up to what is committed; raises `CacheUnavailable`, database errors."""
        done = Sweep()
        (generation, since, epoch_told), (seconds, micros) = cache.pipeline(
            [("HMGET", "fresh", "gen", "since", "epoch"), ("TIME",)]
        )
        moment = int(seconds) * 1000 + int(micros) // 1000
        now, epoch, newest = row(_STATE, ())
        _raise_floor(newest)
        start = from_micros(int(since)) if since else None
        if (
            start is None
            or generation is None
            or int(epoch_told or 0) != epoch
            or now - start > LONGEST_GAP
        ):
            generation, start = token_hex(8).encode(), now
            done.new_generation = True
            logger.info("the cache begins a new generation")
        self._mend(start - OVERLAP, done)
        revoked = accounts.tokens_revoked_since(start - OVERLAP)
        if revoked and not tokens.forget(revoked):
            return done
        cache.pipeline(
            [
                ("HSET", "fresh", "gen", generation, "ms", moment, "since", to_micros(now),
                 "epoch", epoch),
                *_counted(done),
            ]
        )  # fmt: skip
        return done

    def _mend(self, since: datetime, done: Sweep) -> None:
        """Tell the cache whatever it was not told of the messages dated after a moment."""
        seen: dict[int, int] = {}
        found = [_Written(*fields) for fields in rows(_RECENT, {"since": since})]
        done.chats = len(found)
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


def _counted(done: Sweep) -> Iterator[tuple[str | int, ...]]:
    """Yield the commands that add a sweep to what all sweepers have done, for /metrics."""
    yield "HINCRBY", COUNTS_KEY, "sweeps", 1
    for name in ("mended", "forgotten", "new_generation"):
        if number := int(getattr(done, name)):
            yield "HINCRBY", COUNTS_KEY, name, number


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
        names: list[Any] = [f"{kind}:{one}" for one in users for kind in ("i", "v", "il")]
        cache.pipeline([("DEL", *names), ("SET", key, 1, "PX", 120_000)])
        forgotten += len(users)
    return forgotten


def _raise_floor(newest: datetime | None) -> None:
    """Note the latest date given, below which no message will be dated whatever the clock says."""
    if newest is not None:
        rows(_RAISE_FLOOR, (newest, newest))
