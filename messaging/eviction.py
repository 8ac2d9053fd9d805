"""Keeps the hot tier within its share of the cache: what was used longest ago goes first.

The cache holds what can be read again from the database or the bucket (chats, indexes, objects of
cold storage) beside what everybody needs and nobody has a second time: limits, tokens, the queue.
So the server itself evicts nothing (`noeviction`); the sweeper looks at its memory before each
sweep and gives up as much of the former as brings it down again. Where that is not enough, nothing
more is put in (`common/lua/room.lua`), and readers ask the database.
"""

import logging
import time
from collections.abc import Sequence

from common.cache import cache
from messaging import scripts

logger = logging.getLogger(__name__)

EVICT_ABOVE = 0.75
"""At this share of the server's `maxmemory` the sweeper begins to give up entries."""
EVICT_DOWN_TO = 0.65
FULL_ABOVE = 0.9
"""At this share nothing more that can be read again is put in."""
SECONDS_A_SWEEP = 1.0
"""The sweeper has to vouch for the cache in time: what is left to do it does the next time."""
KEYS_A_LOOK = 500
ENTRIES_AT_ONCE = 100
MOST_NOTED = 200_000
FRUITLESS_SECONDS = 30.0
"""After giving up all there was, for how long it is not looked for again."""


class Eviction:
    """One sweeper's way through the keys, some of it at each sweep."""

    def __init__(self) -> None:
        self.evicted = 0
        """How many entries were given up at the last sweep."""
        self._place = b"0"
        self._coldest: list[tuple[int, bytes]] = []
        self._looked = False
        """Whether `_coldest` is of all keys."""
        self._again_at = 0.0

    def run(self) -> bool:
        """Give up entries where the cache is too full; say whether there is no room even so.

        Raises CacheUnavailable.
        """
        self.evicted = 0
        used, most = _memory(cache.execute("INFO", "memory"))
        if not most:
            return False
        if used > most * EVICT_ABOVE and time.monotonic() >= self._again_at:
            used = self._evict(used, int(most * EVICT_DOWN_TO))
        return used > most * FULL_ABOVE

    def _evict(self, used: int, wanted: int) -> int:
        """Give up the coldest entries until so many bytes are used; return how many are."""
        deadline = time.monotonic() + SECONDS_A_SWEEP
        while not self._looked:
            if time.monotonic() > deadline:
                return used
            self._look()
        while used > wanted and self._coldest:
            if time.monotonic() > deadline:
                return used
            some = self._coldest[-ENTRIES_AT_ONCE:]
            del self._coldest[-ENTRIES_AT_ONCE:]
            keys = {key for _, entry in some for key in _keys_of(entry)}
            *_, about = cache.pipeline([("DEL", *keys), ("INFO", "memory")])
            used, _ = _memory(about)
            self.evicted += len(some)
        if used > wanted:
            self._again_at = time.monotonic() + FRUITLESS_SECONDS
            logger.warning(
                "the cache uses %d MB and holds nothing more that could be given up", used >> 20
            )
        self._coldest, self._looked = [], False
        return used

    def _look(self) -> None:
        """Note some more keys; behind the last of them, put the coldest last."""
        self._place, *flat = scripts.ages([], [self._place, KEYS_A_LOOK])
        self._coldest += zip(map(int, flat[1::2]), flat[::2], strict=True)
        self._looked = self._place == b"0"
        if self._looked or len(self._coldest) > MOST_NOTED:
            self._coldest.sort(reverse=True)
            del self._coldest[: -MOST_NOTED // 2]


def _memory(about: bytes) -> tuple[int, int]:
    """Return how many bytes a server uses and may use, 0 for any number, from its INFO."""
    lines = dict(line.partition(b":")[::2] for line in about.split(b"\r\n"))
    return int(lines[b"used_memory"]), int(lines.get(b"maxmemory", 0))


def _keys_of(entry: bytes) -> Sequence[bytes]:
    """Return the keys that go together with one: a chat's, a user's."""
    kind, _, name = entry.partition(b":")
    if kind in {b"c", b"m", b"w"}:
        return [b"c:" + name, b"m:" + name, b"w:" + name, b"cl:" + name]
    if kind in {b"i", b"v"}:
        return [b"i:" + name, b"v:" + name, b"il:" + name]
    return [entry]
