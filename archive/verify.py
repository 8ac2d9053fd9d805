"""Verify: reads objects, all or a sample, and says which are not what was written; mends them."""

import logging
import random
import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

from archive import contradicted
from archive.checking import check_segment
from archive.models import HourObject, Segment
from archive.runs import Shower, Silent, Tally, side_by_side
from archive.store import patient
from common.cache import CacheUnavailable, cache
from common.database import rows

logger = logging.getLogger(__name__)
PORTION = 1000
VERIFIED_KEY = "ops:verified"
_GAPS = """
SELECT chat_id, first_seq
  FROM (SELECT chat_id, first_seq,
               lag(last_seq) OVER (PARTITION BY chat_id ORDER BY first_seq) AS before
          FROM archive_segment) AS listed
 WHERE before + 1 <> first_seq
 LIMIT 100
"""
DUE_DAYS = 6
"""What was not read for so long is read tonight, and so again within a week."""
_DUE = """
SELECT id FROM archive_segment
 WHERE purged_at IS NULL
   AND (hour > clock_timestamp() - interval '26 hours'
        OR verified_at < clock_timestamp() - make_interval(days => %(days)s))
 ORDER BY hour > clock_timestamp() - interval '26 hours' DESC, verified_at, id
"""
# What is wrong stays due until it is right.
_READ = """
UPDATE archive_segment
   SET verified_at = CASE WHEN %(right)s THEN clock_timestamp() ELSE 'epoch' END
 WHERE id = %(segment)s RETURNING id
"""


class Choice(NamedTuple):
    """A segment, and whose objects of it are to be read; None for all."""

    segment_id: int
    users: set[UUID] | None

    def __str__(self) -> str:
        return f"segment {self.segment_id}"


def verify(
    *,
    sample: float = 1.0,
    due: bool = False,
    repair: bool = False,
    shower: Shower | None = None,
) -> dict[str, Any]:
    """Check objects against their keys, their own words, the index and who could see what.

    `sample` is the share of objects to read. With `due` those of the newest hours are read and of
    those that were not read for `DUE_DAYS`, whoever has waited longest first: run each night, it
    reads everything within a week. With `repair`, what is wrong is written again from
    the database or from other members' copies.
    """
    shower, tally = shower or Silent(), Tally()
    tally.add(segments=0, objects=0, wrong=0, repaired=0)
    shower.total(Segment.objects.filter(purged_at=None).count())
    for chat_id, seq in rows(_GAPS, ()):
        tally.fail(f"chat {chat_id}", ValueError(f"the index lacks what comes before seq {seq}"))

    def act(choice: Choice) -> None:
        right = check_segment(choice.segment_id, tally, repair=repair, users=choice.users)
        if choice.users is None:
            rows(_READ, {"segment": choice.segment_id, "right": right})
        tally.add(segments=1)
        shower.advance(1)

    side_by_side(_due() if due else _choices(sample), act, tally)
    for key, error in contradicted.problems(patient):
        tally.add(wrong=1)
        tally.fail(key, error)
    report = {"command": "verify", "sample": sample, **tally.report()}
    _note(report)
    return report


def _note(report: dict[str, Any]) -> None:
    """Leave in the cache what came of it, for /metrics."""
    names = ("objects", "wrong", "repaired", "failed")
    found = [part for name in names for part in (name, int(report[name]))]
    try:
        cache.execute("HSET", VERIFIED_KEY, "at", int(time.time()), *found)
    except CacheUnavailable as error:
        logger.info("what verify found can't be told: %s", error)


def _due() -> Iterator[Choice]:
    for (segment_id,) in rows(_DUE, {"days": DUE_DAYS}):
        yield Choice(segment_id, None)


def _choices(sample: float) -> Iterator[Choice]:
    after = 0
    while found := list(
        Segment.objects.filter(pk__gt=after, purged_at=None)
        .order_by("pk")
        .values_list("pk", flat=True)[:PORTION]
    ):
        after = found[-1]
        if sample >= 1:
            yield from (Choice(segment_id, None) for segment_id in found)
            continue
        chosen: dict[int, set[UUID]] = {}
        for segment_id, user_id in HourObject.objects.filter(segment__in=found).values_list(
            "segment", "user"
        ):
            if random.random() < sample:  # noqa: S311  # nosec B311 # a sample, no secret
                chosen.setdefault(segment_id, set()).add(user_id)
        yield from (Choice(segment_id, users) for segment_id, users in chosen.items())
