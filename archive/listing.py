"""Whether the bucket still lists what the index of hours says that it holds.

Nothing reads most objects for months, and who empties a bucket tells nobody. So each backup counts
a listing, user by user, against the index: one request for 1,000 objects. Of a user who has fewer
than they should it looks for the very keys.
"""

import logging
from collections.abc import Iterator
from itertools import groupby
from uuid import UUID

from archive.hours import Damaged, hour_from, key_of, parse_key
from archive.runs import Tally
from archive.sql import read_sql
from archive.store import Store
from common.database import rows

logger = logging.getLogger(__name__)
LISTED_MOST = 2_000_000
"""So many keys are listed by one run; where there are more, it begins at another user each time."""
LOOKED_AT_MOST = 100
"""Of so many users the keys are looked for one by one; of the others only the number is said."""
USERS_AT_ONCE = 1000
SHOWN = 3
_NOBODY = UUID(int=0)

_COUNTS = read_sql("objects_by_user.sql")
_OBJECTS = read_sql("objects_of_user.sql")
_ABOUT = "SELECT coalesce(max(id) - min(id) + 1, 0), min(id) FROM archive_hourobject"
_SOME_USER = """
SELECT user_id FROM archive_hourobject
 WHERE id >= %(first)s + floor(random() * %(number)s)::bigint ORDER BY id LIMIT 1
"""


class Lost(Damaged):
    """The index says of objects that they are in the bucket, and they are not."""


def compare(store: Store, tally: Tally) -> None:
    """Count the listing against the index; raises Lost, or ArchiveUnavailable.

    What is written meanwhile is only more than what was counted before. What purge takes is out of
    the index first, and who was erased is not looked at.
    """
    lost, few = 0, []
    for user_id, expected, there in _pairs(store):
        if tally.stopping.is_set():
            # What was seen of it says nothing of the rest, and the next run looks again.
            return
        if there < expected:
            few.append((user_id, expected - there))
    keys: list[str] = []
    for user_id, _ in few[:LOOKED_AT_MOST]:
        # None where it was purged or erased meanwhile: the index was counted before.
        found = missing_keys(store, user_id)
        lost += len(found)
        keys += found[: SHOWN - len(keys)]
    if lost:
        lost += sum(number for _, number in few[LOOKED_AT_MOST:])
        tally.add(missing=lost)
        logger.error("%d objects that the index has are not in the bucket", lost)
        raise Lost(
            f"{lost} objects of {len(few)} users that the index has are not there, such as "
            f"{', '.join(keys)}. Find out who deleted them; `verify --repair` writes again what "
            "the database still has."
        )


def missing_keys(store: Store, user_id: UUID) -> list[str]:
    """Return the keys that the index has of a user, now, and that the bucket does not list."""
    there = {key for key, _ in store.keys(f"{user_id}/")}
    found = rows(_OBJECTS, {"user": user_id})
    return [
        key
        for chat_id, hour in found
        if (key := key_of(user_id, hour_from(hour), chat_id)) not in there
    ]


def _pairs(store: Store) -> Iterator[tuple[UUID, int, int]]:
    """Yield users with how many objects they should have, and how many are listed."""
    number, first = rows(_ABOUT, {})[0]
    begin = _NOBODY
    if number > LISTED_MOST:
        begin = rows(_SOME_USER, {"first": first, "number": number})[0][0]
    # The counts of a portion are read before it is listed; keys sort as ids do.
    portions = _portions(begin)
    portion = next(portions, [])
    listed = _listed(store, begin)
    user_id, there = next(listed, (None, 0))
    seen = 0
    while portion and seen < LISTED_MOST:
        for wanted, expected in portion:
            while user_id is not None and user_id < wanted:
                seen += there
                user_id, there = next(listed, (None, 0))
            yield wanted, expected, there if user_id == wanted else 0
        portion = next(portions, [])


def _portions(begin: UUID) -> Iterator[list[tuple[UUID, int]]]:
    """Yield users and their numbers of objects by the index, in order, some at a time."""
    after, first = begin, True
    while found := rows(_COUNTS, {"after": after, "first": first, "most": USERS_AT_ONCE}):
        yield [(user_id, number) for user_id, number in found]
        after, first = found[-1][0], False


def _listed(store: Store, begin: UUID) -> Iterator[tuple[UUID, int]]:
    """Yield users and their numbers of objects by the listing, in order."""
    users = (
        parsed[0]
        for key, _ in store.keys("", after=str(begin))
        if (parsed := parse_key(key)) is not None
    )
    for user_id, same in groupby(users):
        yield user_id, sum(1 for _ in same)
