"""Which errors of a dependency say "not now", so that every way into the product answers 503.

A database that is read-only, full, starting, failing over or out of connections is nobody's fault,
and neither is a cache, a queue or a disk in such a state: the same request may be sent again. The
API's error handler, the pages' and the admin's ask here, and so does nobody else.

SQLSTATEs are PostgreSQL's (appendix A of its manual).
"""

import errno
import logging

from django.db import DatabaseError, InterfaceError, OperationalError, ProgrammingError, connection
from psycopg.pq import TransactionStatus
from redis.exceptions import RedisError

from common.cache import CacheUnavailable
from common.counts import Counter
from common.errors import DatabaseUnavailable, Unavailable

logger = logging.getLogger(__name__)

NOT_NOW = Counter(
    "strata_not_now_total", "Requests answered 503 since a dependency said not now.", "dependency"
)

CLASSES = frozenset({"08", "53", "57", "58"})
"""Connections, resources (disk, memory, connections), an operator's intervention, I/O."""
STATES = frozenset(
    {
        "25006",  # read_only_sql_transaction: a primary that was demoted
        "25P03",  # idle_in_transaction_session_timeout
        "25P04",  # transaction_timeout
        "26000",  # invalid_sql_statement_name: what was prepared is lost behind a pooler
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "42P01",  # undefined_table: a dump that is just being restored drops tables first
        "42883",  # undefined_function: the same
        "42P05",  # duplicate_prepared_statement: a pooler's connection that another client used
        "55006",  # object_in_use
        "55P03",  # lock_not_available
    }
)
PLAN_CHANGED = "0A000"
"""feature_not_supported, with which PostgreSQL also refuses a plan made before a migration."""
ANOTHER_SERVER = frozenset({"25006", "26000", "42P05", PLAN_CHANGED})
"""What a new connection mends: it finds the primary, or a session that nobody else has used."""

DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


class QueueUnavailable(Unavailable):
    """The queue took no task; nothing was begun."""

    default_code = "queue_unavailable"
    default_detail = "This can't be begun for a moment. Send the same request again."


class CacheNeeded(Unavailable):
    """The cache gave no answer to what can't be done without it."""

    default_code = "cache_unavailable"
    default_detail = "A part of the service is away for a moment. Send the same request again."


class DiskFull(Unavailable):
    """The server's own disk takes no more."""

    default_code = "disk_full"
    default_detail = "The server has no room on its disk. Send the same request again later."


def sqlstate(error: BaseException) -> str:
    """Return the SQLSTATE behind a database error, an empty text where there is none."""
    for found in (error, error.__cause__):
        state = getattr(found, "sqlstate", None)
        if state:
            return str(state)
    return ""


def _database_says_not_now(error: DatabaseError | InterfaceError) -> bool:
    if isinstance(error, OperationalError | InterfaceError):
        return True
    state = sqlstate(error)
    if state == PLAN_CHANGED:
        return "cached plan" in str(error)
    if not state and isinstance(error, ProgrammingError):
        # Not the server's word but psycopg's or Django's, of a connection that was let down before.
        return _is_half_used()
    return state in STATES or state[:2] in CLASSES


def _is_half_used() -> bool:
    """Say whether this thread's connection is in a transaction that nobody is in any more."""
    raw = connection.connection
    if raw is None or connection.in_atomic_block:
        return False
    return (
        raw.closed
        or not connection.get_autocommit()
        or raw.info.transaction_status != TransactionStatus.IDLE
    )


def unavailable(error: BaseException) -> Unavailable | None:
    """Return the 503 that an error of a dependency deserves; None where it is none of these.

    A connection that another one would do better than is closed, so that the next request finds
    the server that works.
    """
    if isinstance(error, Unavailable):
        return error
    found: Unavailable | None = None
    if isinstance(error, DatabaseError | InterfaceError) and _database_says_not_now(error):
        found = DatabaseUnavailable()
        _leave_server(error)
    elif isinstance(error, CacheUnavailable | RedisError):
        found = CacheNeeded()
    elif type(error).__module__.startswith("kombu."):
        # Not imported: a web worker needs the queue's client for next to nothing.
        found = QueueUnavailable()
    elif isinstance(error, OSError) and error.errno in DISK:
        found = DiskFull()
    if found is not None:
        NOT_NOW.inc(found.default_code.removesuffix("_unavailable"))
        logger.warning("%s: %s", found.default_code, str(error).strip().splitlines()[:1])
    return found


def _leave_server(error: BaseException) -> None:
    """Close this thread's connection where a new one finds another server, or a clean session."""
    state = sqlstate(error)
    if connection.in_atomic_block:
        return
    if state in ANOTHER_SERVER or state.startswith("57P") or _is_half_used():
        connection.close()
