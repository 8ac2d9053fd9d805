"""From which message id on the sweeper has to look, so that nothing just committed escapes it.

Ids are given out in order, but committed in another, by transactions that take a while. So each
ten seconds a sweeper notes a look: the moment, the largest committed id, and the next transaction
id. Once all transactions of before a look have ended, whatever has an id up to the look's was there
to be seen by whoever has looked since. Dates have no part in it: a message that comes back, or in
from elsewhere, has an old one.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from messaging.wire import from_micros

EVERY = timedelta(seconds=10)
"""How often a look is noted."""
OVERLAP = timedelta(seconds=15)
"""How old a look must be to begin from it: a reader may fill the cache with what it read before a
commit for as long as its lease lives, 10 s, and a request's transaction lasts 5 s at most."""
LONGEST_TRANSACTION = timedelta(seconds=60)
"""After so long a look is taken although a transaction of before it is still open: nothing that
writes messages beside a running service takes longer, but a restore, which raises the epoch."""


class Look(NamedTuple):
    """How far the log was at a moment."""

    at: int
    """By the database's clock, in µs since 1970."""
    newest: int
    """The largest message id that was committed."""
    next_transaction: int

    def begins(self, now: datetime, oldest_transaction: int) -> bool:
        """Say whether everything up to its id has been there to be seen for long enough."""
        age = now - from_micros(self.at)
        if age < OVERLAP:
            # Also where the clock was set back since.
            return False
        return age > LONGEST_TRANSACTION or oldest_transaction >= self.next_transaction


def begin(looks: Sequence[Look], now: datetime, oldest_transaction: int) -> tuple[int, list[Look]]:
    """Return the id after which to look, 0 for all, and the looks from there on."""
    for place in range(len(looks) - 1, -1, -1):
        if looks[place].begins(now, oldest_transaction):
            return looks[place].newest, list(looks[place:])
    return 0, list(looks)
