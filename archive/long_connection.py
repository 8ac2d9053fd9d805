"""A connection of its own, without the limits that requests have: for reads that take long."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection


@contextmanager
def opened(database: str | None = None) -> Iterator[psycopg.Connection[Any]]:
    """Connect to the live server, to another database of it if that is named."""
    parameters = connection.get_connection_params()
    for ours in ("cursor_factory", "context", "prepare_threshold", "server_side_binding"):
        parameters.pop(ours, None)
    parameters |= {"options": "-c jit=off", "autocommit": True}
    if database:
        parameters["dbname"] = database
    with psycopg.connect(**parameters) as server:
        yield server
