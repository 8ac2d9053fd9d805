"""Single statements to PostgreSQL, each its own transaction and one round trip.

Connections are kept open. One that the server has closed meanwhile (a restart) is noticed before
it is used, by its socket and without a round trip, so that a restart costs no request its answer.
"""

import select
from collections.abc import Mapping, Sequence
from itertools import count
from time import perf_counter
from typing import Any
from weakref import WeakSet

from django.conf import settings
from django.db import connection
from psycopg.errors import InvalidSqlStatementName, error_from_result
from psycopg.generators import execute
from psycopg.pq import ExecStatus

from common import sql
from common.bulkheads import bulkheads
from common.postgresql.base import tell_slow


def drop_dead_connection() -> None:
    """Close this thread's connection if the server has; the next statement opens another."""
    if connection.connection is None or connection.in_atomic_block:
        return
    if connection.errors_occurred:
        connection.close_if_unusable_or_obsolete()
        return
    raw = connection.connection
    # Nothing is in flight here: an idle connection that can be read is one at its end.
    if not raw.closed:
        poller = select.poll()
        poller.register(raw.fileno(), select.POLLIN | select.POLLHUP)
        if not poller.poll(0):
            return
    connection.close()


def rows(statement: str, parameters: Mapping[str, Any] | Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run one statement and return its rows; raises Django's database errors."""
    drop_dead_connection()
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def row(statement: str, parameters: Mapping[str, Any] | Sequence[Any]) -> tuple[Any, ...]:
    """Run one statement that returns one row and return it."""
    return rows(statement, parameters)[0]


_numbers = count(1)


class Statement:
    """One statement that is asked very often: prepared once a connection, past all cursors.

    A cursor's own work, Django's and psycopg's, costs more than the statement. Parameters and
    results are texts as PostgreSQL writes them: null is None, true is `t`. The statement is a
    transaction of its own; inside another, and where somebody listens to what is executed (traces,
    tests that count), it goes by a cursor. Either way the wait is the connection's own, bounded.
    """

    def __init__(self, text: str, parameters: int) -> None:
        self._sql = text.format(*["%s"] * parameters)
        self._numbered = text.format(*[f"${n}" for n in range(1, parameters + 1)]).encode()
        sql.same(text, self._sql)
        self._prepared: WeakSet[Any] = WeakSet()
        self._name = f"strata_{next(_numbers)}".encode()

    def __call__(self, parameters: Sequence[str | None]) -> list[tuple[str | None, ...]]:
        """Run it and return its rows; raises Django's database errors."""
        drop_dead_connection()
        if (
            connection.in_atomic_block
            or connection.execute_wrappers
            or connection.queries_logged
            or not connection.get_autocommit()
        ):
            return self._by_cursor(parameters)
        # Before anything is sent: a connection with an answer that nobody reads is lost.
        bulkheads.begin_question()
        started = perf_counter()
        # Opened by get_autocommit, if it was not.
        raw = connection.connection
        sent = [None if value is None else value.encode() for value in parameters]
        try:
            with connection.wrap_database_errors:
                if raw not in self._prepared:
                    self._prepare(raw)
                try:
                    result = self._run(raw, sent)
                except InvalidSqlStatementName:
                    # psycopg has the server forget all that is prepared after a rollback. Nothing
                    # was executed.
                    self._prepare(raw)
                    result = self._run(raw, sent)
        finally:
            bulkheads.end_question()
            if settings.SLOW_QUERY_MS:
                tell_slow(self._sql, perf_counter() - started)
        columns = range(result.nfields)
        return [
            tuple([_decoded(result.get_value(row, column)) for column in columns])
            for row in range(result.ntuples)
        ]

    def _prepare(self, raw: Any) -> None:
        raw.pgconn.send_prepare(self._name, self._numbered)
        self._result(raw)
        self._prepared.add(raw)

    def _run(self, raw: Any, sent: Sequence[bytes | None]) -> Any:
        raw.pgconn.send_query_prepared(self._name, sent)
        return self._result(raw)

    def _by_cursor(self, parameters: Sequence[str | None]) -> list[tuple[str | None, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(self._sql, parameters)
            return [tuple(map(_as_text, found)) for found in cursor.fetchall()]

    def _result(self, raw: Any) -> Any:
        result = raw.wait(execute(raw.pgconn))[-1]
        if result.status not in {ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK}:
            raise error_from_result(result)
        return result


def _as_text(value: Any) -> str | None:
    """Return a value as PostgreSQL writes it, of the types that statements here return."""
    if isinstance(value, bool):
        return "t" if value else "f"
    return None if value is None else str(value)


def _decoded(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
