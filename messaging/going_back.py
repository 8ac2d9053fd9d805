"""A database that has gone back in time: how that is noticed, and what is done about it.

A restored dump, a recovery to a point in time, a fail-over that lost commits: cache, cursors and
bucket then know of messages that the database does not have, and new ones take their numbers. So
at each beat, before anything is vouched for, the sweeper compares the database's mark with what is
kept outside of it. docs/going-back.md says what follows from that, and why.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.db import transaction

from audit import services as audit
from audit.models import Action
from common.cache import cache
from common.database import row
from common.errors import Unavailable
from messaging import database_mark, scripts
from messaging.database_mark import Mark
from messaging.epoch import raise_epoch
from messaging.models import DatabaseMark, DatabaseReset
from messaging.sql import read_sql
from messaging.wire import from_micros

logger = logging.getLogger(__name__)
Cause = DatabaseReset.Cause
_TOLD_AHEAD = read_sql("told_ahead.sql")
HOT = tuple(
    f"{kind}:".encode() for kind in ("i", "v", "il", "c", "m", "w", "x", "cl", "a", "t", "tl")
)
"""How the keys begin of what the cache holds of the database: the hot tier, pages of cold storage,
tokens. Limits, the queue, heartbeats and counts are none of it."""
AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """What the world has seen of the log, as far as this process knows."""

    mark: Mark
    from_cache: bool
    """Whether the cache has it, so that what it was told can be compared too."""
    vouched: bool
    """Whether the cache was vouched for a moment ago."""


def judge(database: Mark, seen: Seen | None) -> Cause | None:
    """Return how it shows that a database has gone back; None where it has not."""
    if seen is None:
        return None
    if database.number < seen.mark.number:
        return Cause.MARK
    if database.epoch < seen.mark.epoch:
        return Cause.EPOCH
    if database.identity == seen.mark.identity:
        return None
    # Less may be lost than the mark shows, which grows each ten seconds.
    if not seen.from_cache or not seen.vouched:
        return Cause.UNPROVEN
    return Cause.COMMITS if _lacks_what_was_told() else None


def _lacks_what_was_told() -> bool:
    """Say whether the cache was told of messages that the database does not have."""
    position: bytes | int = 0
    while True:
        position, keys = cache.execute("SCAN", position, "MATCH", "c:*", "COUNT", AT_ONCE)
        numbers = [int(key[2:]) for key in keys]
        replies = cache.pipeline(
            [
                command
                for number in numbers
                for command in (
                    ("HMGET", f"c:{number}", "told", "end"),
                    ("LINDEX", f"m:{number}", -1),
                )
            ]
        )
        found = zip(numbers, replies[::2], replies[1::2], strict=True)
        if numbers and _ahead([(number, *about, line) for number, about, line in found]):
            return True
        if int(position) == 0:
            return False


def _ahead(chats: list[tuple[int, bytes | None, bytes | None, bytes | None]]) -> bool:
    columns: dict[str, list[int | datetime | None]] = {
        "numbers": [], "tolds": [], "ends": [], "ats": [],
    }  # fmt: skip
    for number, told, end, line in chats:
        listed = end is not None and line is not None
        columns["numbers"].append(number)
        columns["tolds"].append(from_micros(int(told)) if told else None)
        columns["ends"].append(int(end) if listed and end else 0)
        columns["ats"].append(from_micros(int(line[:16])) if listed and line else None)
    return bool(row(_TOLD_AHEAD, columns)[0])


def start_over(database: Mark, seen: Seen, cause: Cause, known_until: datetime | None) -> bool:
    """Forget all the cache holds, raise the epoch and say so; False when another was first.

    Whatever this dies of, it begins again at the next beat: the database's mark is raised last,
    and until then it is behind. Raises `CacheUnavailable` and database errors.
    """
    # From here on nothing is vouched for; a sweeper that compared before this can't either.
    cache.execute("HDEL", "fresh", "gen", "ms", "since")
    forgotten = forget_all()
    world = database.beyond(seen.mark)
    with transaction.atomic():
        DatabaseMark.objects.get_or_create(pk=1)
        mark = DatabaseMark.objects.select_for_update().get(pk=1)
        if mark.number != database.number:
            return False
        epoch = raise_epoch(beyond=world.epoch)
        now = world._replace(number=world.number + 1, epoch=epoch)
        DatabaseMark.objects.filter(pk=1).update(number=now.number)
        reset = DatabaseReset.objects.create(
            cause=cause, number=database.number, seen=seen.mark.number, epoch=epoch,
            known_until=known_until,
        )  # fmt: skip
        audit.record(
            Action.DATABASE_WENT_BACK,
            target=reset,
            reason=str(cause.label),
            before={"mark": seen.mark.number, "database": seen.mark.identity,
                    "epoch": seen.mark.epoch},
            after={"mark": database.number, "database": database.identity, "epoch": epoch},
        )  # fmt: skip
    # What was filled meanwhile names the epoch of before.
    forgotten += forget_all()
    scripts.note_mark([], [now.number, now.identity, now.epoch])
    logger.critical(
        "the database has gone back in time (%s): its mark is %d, %d was seen; clients start anew "
        "with epoch %d; what was sent after %s may be lost",
        cause.label, database.number, seen.mark.number, epoch, known_until or "an unknown moment",
        extra={"cause": str(cause), "mark": database.number, "seen": seen.mark.number,
               "epoch": epoch, "forgotten": forgotten},
    )  # fmt: skip
    try:
        database_mark.keep(now)
    except Unavailable:
        logger.warning("the bucket does not know of it yet: the next backup tells it")
    return True


def forget_all() -> int:
    """Delete what the cache holds of the database; return how many keys. Leases go with it.

    So no reader who read before can fill what is wrong now.
    """
    position: bytes | int = 0
    count = 0
    while True:
        position, keys = cache.execute("SCAN", position, "COUNT", AT_ONCE)
        names = iter([key for key in keys if key.startswith(HOT)])
        while some := list(islice(names, AT_ONCE)):
            count += cache.execute("UNLINK", *some)
        if int(position) == 0:
            return count
