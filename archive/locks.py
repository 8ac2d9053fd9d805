"""One run at a time per chat or export: a session's advisory lock, named by a number.

It ends with the connection. Whoever lost it finds out before it records or overwrites anything:
`check` looks whether the session that took it still holds it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection

from common.database import row, rows

_SPACE = 0x5354 << 44
"""Keeps a chat's number apart from whatever else is locked by number."""
_WAIT_SECONDS = 0.1
_HOLDS = """
SELECT count(*) FROM pg_locks
 WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND pid = %s
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND classid = (%s::bigint >> 32)::int::oid AND objid = (%s::bigint & 4294967295)::oid
"""


class LockLost(Exception):
    """The session that held a lock is gone; another run may be at work on the same."""


class Busy(Exception):
    """Another run has been at work on the same for as long as this one would wait."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that is held, for as long as its session lives."""

    key: int
    pid: int

    def check(self) -> None:
        """Raise LockLost unless it is still held; any connection may ask."""
        if not row(_HOLDS, (self.pid, self.key, self.key))[0]:
            raise LockLost


ChatLock = Lock
"""That of a chat."""


@contextmanager
def chat_lock(number: int, *, patience: float = 600.0) -> Iterator[ChatLock]:
    """Hold the lock of a chat, waiting for another run to finish with it; raises Busy."""
    with held(_SPACE + number, patience=patience) as lock:
        yield lock


@contextmanager
def held(key: int, *, patience: float) -> Iterator[Lock]:
    """Hold the lock of a number, waiting so many seconds for whoever has it; raises Busy."""
    deadline = time.monotonic() + patience
    while True:
        held, pid = row("SELECT pg_try_advisory_lock(%s), pg_backend_pid()", (key,))
        if held:
            break
        if time.monotonic() > deadline:
            raise Busy("another run is at work on the same; try again later")
        time.sleep(_WAIT_SECONDS)
    try:
        yield Lock(key, pid)
    finally:
        # A lost connection has let go of it already, and another session never held it.
        if connection.connection is not None and not connection.errors_occurred:
            rows("SELECT pg_advisory_unlock(%s) WHERE pg_backend_pid() = %s", (key, pid))
        else:
            connection.close()
