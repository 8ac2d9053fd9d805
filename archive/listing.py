"""Whether the bucket still lists what the index of hours says that it holds.

Nothing reads most objects for months, and who empties a bucket tells nobody. So each backup holds
a listing, user by user, against the index: one request for 1,000 objects. What is compared of a
user is how many objects they have and a sum over their keys, so that one that is there beyond the
index hides none that is not. Of a user of whom these differ it looks for the very keys.
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple
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


class Objects(NamedTuple):
    """A user's objects, as far as they are compared at first."""

    number: int
    sum: int
    """Of 60 bits of MD5 of each one's chat and hour; `objects_by_user.sql` has the same."""


_NONE = Objects(0, 0)


class Lost(Damaged):
    """The index says of objects that they are in the bucket, and they are not."""


def compare(store: Store, tally: Tally) -> None:
    """Hold the listing against the index; raises Lost, or ArchiveUnavailable.

    What is written meanwhile is only more than what was counted before. What purge takes is out of
    the index first, and who was erased is not looked at.
    """
    lost, few = 0, []
    for user_id, expected, there in _pairs(store):
        if tally.stopping.is_set():
            # What was seen of it says nothing of the rest, and the next run looks again.
            return
        if there.number < expected.number or there.sum != expected.sum:
            few.append((user_id, max(expected.number - there.number, 0)))
    # Those who have fewer than they should first: the others may have more for good reasons.
    few.sort(key=lambda pair: -pair[1])
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


def _pairs(store: Store) -> Iterator[tuple[UUID, Objects, Objects]]:
    """Yield users with the objects that they should have, and those that are listed."""
    number, first = rows(_ABOUT, {})[0]
    begin = _NOBODY
    if number > LISTED_MOST:
        begin = rows(_SOME_USER, {"first": first, "number": number})[0][0]
    # The counts of a portion are read before it is listed; keys sort as ids do.
    portions = _portions(begin)
    portion = next(portions, [])
    listed = _listed(store, begin)
    user_id, there = next(listed, (None, _NONE))
    seen = 0
    while portion and seen < LISTED_MOST:
        for wanted, expected in portion:
            while user_id is not None and user_id < wanted:
                seen += there.number
                user_id, there = next(listed, (None, _NONE))
            yield wanted, expected, there if user_id == wanted else _NONE
        portion = next(portions, [])


def _portions(begin: UUID) -> Iterator[list[tuple[UUID, Objects]]]:
    """Yield users and their objects by the index, in order, some users at a time."""
    after, first = begin, True
    while found := rows(_COUNTS, {"after": after, "first": first, "most": USERS_AT_ONCE}):
        yield [(user_id, Objects(number, int(total))) for user_id, number, total in found]
        after, first = found[-1][0], False


def _listed(store: Store, begin: UUID) -> Iterator[tuple[UUID, Objects]]:
    """Yield users and their objects by the listing, in order."""
    found = (
        parsed
        for key, _ in store.keys("", after=str(begin))
        if (parsed := parse_key(key)) is not None
    )
    for user_id, same in groupby(found, itemgetter(0)):
        yield user_id, objects_of((hour, chat_id) for _, hour, chat_id in same)


def objects_of(found: Iterable[tuple[int, UUID]]) -> Objects:
    """Return hours and chats as they are compared."""
    number = total = 0
    for hour, chat_id in found:
        digest = hashlib.md5(f"{chat_id} {hour}".encode(), usedforsecurity=False).hexdigest()
        number, total = number + 1, total + int(digest[:15], 16)
    return Objects(number, total)
