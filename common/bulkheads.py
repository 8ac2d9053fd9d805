"""How many of a web worker's threads may wait for something slow, so that others are answered.

A poll that the cache can answer needs neither database nor object store nor a password's hash; it
must not wait because everybody else waits for one of these. So one thread of each worker is kept
free of them all:

- **The database.** The last free thread may ask it too, but waits for `PROMPT_SECONDS` alone; and
  where all the others have waited for longer than that, it is not let in at all. In the ordinary
  case, when answers take milliseconds, nobody is ever refused.
- **What takes long by nature** (hashing a password, reading cold storage): at most half of the
  threads, each kind for itself; who comes when they are taken waits for `PROMPT_SECONDS` if that
  leaves a thread free, and is refused at once where it is a password.

A request that is refused gets 503 with `Retry-After` at once. Processes that serve nobody (the
worker, commands) never call `serve_with`, and nothing here holds for them.
"""

import threading
from collections import Counter as Tally
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TypeVar

from common.counts import Counter
from common.errors import Unavailable

T = TypeVar("T")
PROMPT_SECONDS = 0.25
"""What waits for longer than this is stuck, as far as others are concerned."""

REFUSED = Counter(
    "strata_bulkhead_refusals_total", "Requests not let wait for what others wait for, by kind.",
    "kind",
)  # fmt: skip


class Busy(Unavailable):
    """Too many others wait for the same."""

    default_code = "busy"
    default_detail = "Too many others ask for this at once. Send the same request again."
    wait = 1


class _Waiting(threading.local):
    """What this thread waits for now."""

    depth = 0
    seconds: float | None = None


class Bulkheads:
    """The threads of this process that wait for something slow."""

    def __init__(self) -> None:
        self.threads = 0
        """How many threads there are; 0 where nobody is served, and nothing is bounded."""
        self._since: dict[int, float] = {}
        self._kinds: Tally[str] = Tally()
        self._in_line = 0
        """How many wait for their turn of what takes long: they hold a thread each as well."""
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._own = _Waiting()

    def serve_with(self, threads: int) -> None:
        """Bound what waits in a process that answers requests with so many threads."""
        # One thread alone can't be kept free.
        self.threads = threads if threads > 1 else 0

    def begin_question(self, *, begun: bool = False) -> float | None:
        """Begin to wait for the database; return for how many seconds at most, None for any time.

        What is `begun`, a transaction or the opening of a connection, is let go on: refused in the
        middle it would leave a connection that nobody can use. Each call is followed by
        `end_question`, unless it raises Busy.
        """
        own = self._own
        if own.depth or not self.threads:
            own.depth += 1
            return own.seconds
        now = monotonic()
        # The lock itself: the condition's own way to it takes twice as long.
        with self._lock:
            if self._one_is_free():
                own.seconds = None
            elif not begun and self._stuck(now):
                REFUSED.inc("database")
                raise Busy
            else:
                own.seconds = PROMPT_SECONDS
            self._since[threading.get_ident()] = now
        own.depth = 1
        return own.seconds

    def end_question(self) -> None:
        """Note that the database has answered."""
        own = self._own
        own.depth -= 1
        if own.depth or not self.threads:
            return
        # Under the lock: whoever counts who is stuck goes through them all.
        with self._lock:
            self._since.pop(threading.get_ident(), None)
        own.seconds = None

    def refuse_if_full(self, kind: str) -> None:
        """Raise Busy where `slow` would, before anything else is done for it; holds nothing."""
        if self.threads and not self._own.depth and not self._has_room(kind):
            REFUSED.inc(kind)
            raise Busy

    @contextmanager
    def slow(self, kind: str, *, in_line: bool = True) -> Iterator[None]:
        """Do something that takes long by nature; raises Busy when too many others do.

        With `in_line` it waits for its turn for `PROMPT_SECONDS`: where others are done soon.
        """
        if not self.threads or self._own.depth:
            yield
            return
        ident = threading.get_ident()
        with self._changed:
            if not self._has_room(kind) and not (in_line and self._turn_comes(kind)):
                REFUSED.inc(kind)
                raise Busy
            self._kinds[kind] += 1
            self._since[ident] = monotonic()
        self._own.depth = 1
        try:
            yield
        finally:
            self._own.depth = 0
            with self._changed:
                self._kinds[kind] -= 1
                self._since.pop(ident, None)
                self._changed.notify()

    def _one_is_free(self) -> bool:
        """Say whether a thread is left beside this one."""
        return len(self._since) + self._in_line < self.threads - 1

    def _has_room(self, kind: str) -> bool:
        return self._kinds[kind] < max(1, self.threads // 2) and len(self._since) < self.threads - 1

    def _turn_comes(self, kind: str) -> bool:
        """Wait for one's turn for a moment, if that leaves a thread free; say whether it came."""
        if not self._one_is_free():
            return False
        self._in_line += 1
        try:
            return self._changed.wait_for(lambda: self._has_room(kind), PROMPT_SECONDS)
        finally:
            self._in_line -= 1

    def _stuck(self, now: float) -> bool:
        """Say whether all threads but the last have waited for long."""
        waiting = sum(now - since > PROMPT_SECONDS for since in self._since.values())
        return waiting >= self.threads - 1


bulkheads = Bulkheads()
