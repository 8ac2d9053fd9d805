"""Which database this process has met, and whether to believe what the cache says of it.

A connection that is opened after a fail-over, or after the database was made anew, may lead to an
older one, before the sweeper has compared it. So a web process asks each new connection who is
there; where that is neither the one that it knew nor the one that the cache was vouched for, it
believes nothing that the cache says, until all that was said of the other one has expired.
"""

import logging
import time
from typing import Any

import psycopg

from common.cache import CacheUnavailable, cache
from common.postgresql import base

logger = logging.getLogger(__name__)
DOUBT_SECONDS = 15.0
"""Longer than anything in the cache is believed that was filled, or vouched for, before."""
_ASK = """
SELECT concat_ws('.',
         (SELECT system_identifier FROM pg_control_system()),
         CASE WHEN pg_is_in_recovery() THEN 'standby'
              ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END,
         (SELECT oid FROM pg_database WHERE datname = current_database()), '')
"""


class _Met:
    """The database that this process met last."""

    def __init__(self) -> None:
        self.identity = ""
        self.doubts_until = 0.0

    def note(self, connection: psycopg.Connection[Any]) -> None:
        """Ask a new connection which database it leads to."""
        try:
            found = connection.execute(_ASK).fetchone()
        except psycopg.Error as error:
            logger.warning("which database this is can't be asked: %s", error)
            return
        known, self.identity = self.identity, found[0] if found else ""
        if self.identity == known:
            return
        try:
            vouched: bytes | None = cache.execute("HGET", "fresh", "db")
        except CacheUnavailable:
            vouched = None
        # One that has met none before has nothing to compare with but the sweeper's word.
        if not (vouched or b"").startswith(self.identity.encode()) and (known or vouched):
            self.doubts_until = time.monotonic() + DOUBT_SECONDS
            logger.warning("another database answers: nothing that the cache says is believed")


met = _Met()


def watch() -> None:
    """Ask each connection that this process opens from now on."""
    if met.note not in base.opened:
        base.opened.append(met.note)


def believed_ms(bound: int) -> int:
    """Return how old, in ms, what the cache says may be; -1, as nothing is, while in doubt."""
    return -1 if met.doubts_until and time.monotonic() < met.doubts_until else bound
