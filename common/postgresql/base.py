"""The database backend: Django's own, whose connections give up on a server that hangs.

The server bounds its statements and transactions itself, but a server that is stopped or cut off
bounds nothing, and a request would wait for as long as that lasts.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import BoundedSemaphore
from time import perf_counter
from typing import Any

import psycopg
from django.conf import settings
from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper
from psycopg import generators
from psycopg.abc import RV, PQGen
from psycopg.errors import _WaitTimeout
from psycopg.pq import TransactionStatus
from psycopg.waiting import wait_conn

from common import sql
from common.bulkheads import Busy, bulkheads
from common.counts import Counter

slow = logging.getLogger("strata.slow")

GRACE_SECONDS = 3.0
"""What an answer may take beyond the longest transaction, before the server counts as gone."""


CANCEL_SECONDS = 2.0
"""For how long a server is asked to stop working on what nobody waits for."""
GIVEN_UP = 16
"""How many statements may wait to be cancelled, on a server that does not answer."""

OPENED = Counter("strata_database_connections_opened_total", "Connections that web workers opened.")
UNANSWERED = Counter(
    "strata_database_unanswered_total", "Statements given up since the server did not answer."
)


def begin_question(*, begun: bool = False) -> float | None:
    """Begin to wait for the database, as `Bulkheads.begin_question`; raises OperationalError.

    An error of the database's own kind, so that Django closes what is left of a transaction.
    """
    try:
        return bulkheads.begin_question(begun=begun)
    except Busy as error:
        raise psycopg.OperationalError("too many requests wait for the database") from error


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when an answer takes longer than any statement may."""

    longest_wait: float | None = None

    def set_autocommit(self, value: bool) -> None:
        """Begin or end transactions by statements of one's own; asks the server nothing."""
        bulkheads.begin_question(begun=True)
        try:
            super().set_autocommit(value)
        finally:
            bulkheads.end_question()

    def commit(self) -> None:
        """End a transaction, if there is one."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().commit()

    def rollback(self) -> None:
        """Undo a transaction, if there is one."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().rollback()

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait for an answer; raises OperationalError when none comes in time.

        Also when too many others wait, but not in the middle of a transaction: refused there, it
        could be neither ended nor undone, and its locks would be held meanwhile.
        """
        begun = self.pgconn.transaction_status != TransactionStatus.IDLE
        short = begin_question(begun=begun)
        if timeout is None:
            timeout = self.longest_wait if short is None else short
        try:
            return super().wait(gen, interval, timeout)
        except _WaitTimeout as error:
            # Whatever was asked may or may not have been done, and its answer may still come.
            give_up(self)
            UNANSWERED.inc()
            raise psycopg.OperationalError("the database server does not answer") from error
        finally:
            bulkheads.end_question()


_given_up = ThreadPoolExecutor(1, "given-up")
_few = BoundedSemaphore(GIVEN_UP)


def give_up(connection: psycopg.Connection[Any]) -> None:
    """Close a connection whose answer nobody waits for, and have the server stop working on it.

    The server would notice only when it has the lock that it waits for, and each repetition of the
    request would leave one more of its processes waiting. It is asked beside this thread, since a
    server that hangs does not answer that either.
    """
    if _few.acquire(blocking=False):
        # psycopg's own cancel() keeps all threads of the process waiting while the server hangs;
        # its cancel_safe() does not, but asks for a connection that is open.
        handle = connection.pgconn.cancel_conn()

        def cancel() -> None:
            try:
                with suppress(psycopg.Error, _WaitTimeout):
                    handle.start()
                    wait_conn(generators.cancel(handle), timeout=CANCEL_SECONDS)
            finally:
                handle.finish()
                _few.release()

        _given_up.submit(cancel)
    connection.close()


class TimedCursor(CursorWrapper):
    """A cursor that tells of statements that took longer than SLOW_QUERY_MS."""

    def _execute(self, sql: str, params: Any, *ignored: Any) -> Any:
        started = perf_counter()
        try:
            return super()._execute(sql, params, *ignored)  # type: ignore[misc]
        finally:
            tell_slow(sql, perf_counter() - started)

    def _executemany(self, sql: str, param_list: Any, *ignored: Any) -> Any:
        started = perf_counter()
        try:
            return super()._executemany(sql, param_list, *ignored)  # type: ignore[misc]
        finally:
            tell_slow(sql, perf_counter() - started)


def tell_slow(statement: str, seconds: float) -> None:
    """Log a statement that took longer than SLOW_QUERY_MS."""
    if seconds * 1000 < settings.SLOW_QUERY_MS:
        return
    name = sql.shown(statement)
    slow.warning(
        "slow query: %s took %.1f ms",
        name,
        seconds * 1000,
        extra={"statement": name, "duration_ms": round(seconds * 1000, 1)},
    )


opened: list[Callable[[psycopg.Connection[Any]], None]] = []
"""What a process wants to be told of each connection that it opens."""


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's backend with bounded connections."""

    def connect(self) -> None:
        """Open and prepare a connection, as one question; what is half prepared is closed."""
        begin_question()
        try:
            super().connect()
        except BaseException:
            # Django would go on with it: in no transaction's mode, or at another time zone.
            self.close()
            raise
        finally:
            bulkheads.end_question()

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Open a connection, bounded where transactions are (`DB_TRANSACTION_TIMEOUT_MS`)."""
        connection = super().get_new_connection(conn_params)
        OPENED.inc()
        limit = settings.DB_TRANSACTION_TIMEOUT_MS
        if limit:
            # Django names the class that it opens; the subclass only waits differently.
            connection.__class__ = BoundedConnection
            connection.longest_wait = limit / 1000 + GRACE_SECONDS
        return connection

    def init_connection_state(self) -> None:
        """Prepare a new connection, and show it to those who want to know."""
        super().init_connection_state()
        if self.connection is not None:
            for look in opened:
                look(self.connection)

    def make_cursor(self, cursor: Any) -> CursorWrapper:
        """Return a cursor, timed where SLOW_QUERY_MS is set."""
        return TimedCursor(cursor, self) if settings.SLOW_QUERY_MS else super().make_cursor(cursor)
