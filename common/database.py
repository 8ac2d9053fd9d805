"""Single statements to PostgreSQL, each its own transaction and one round trip.

Connections are kept open. One that the server has closed meanwhile (a restart) is noticed before
it is used, by its socket and without a round trip, so that a restart costs no request its answer.
"""

import select
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection


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


def rows(sql: str, parameters: Mapping[str, Any] | Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run one statement and return its rows; raises Django's database errors."""
    drop_dead_connection()
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def row(sql: str, parameters: Mapping[str, Any] | Sequence[Any]) -> tuple[Any, ...]:
    """Run one statement that returns one row and return it."""
    return rows(sql, parameters)[0]
