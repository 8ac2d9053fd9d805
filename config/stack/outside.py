"""Servers that somebody else runs, which the environment points us at."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from config.stack.errors import StackError

# Whatever starts them beside us gets this long.
WAIT_SECONDS = 5.0


def check_outside(variables: Iterable[str]) -> None:
    """Raise a sentence unless each variable names a server that answers."""
    for variable in variables:
        _wait_for(variable, CHECKS[variable], os.environ[variable])


def _wait_for(variable: str, check: Callable[[str], None], url: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            check(url)
        except Exception as error:  # whatever its client raises
            if time.monotonic() > deadline:
                # The first line: psycopg adds one for every address that it tried.
                reason = str(error).strip().split("\n", 1)[0]
                raise StackError(
                    f"{variable} names a server that can't be used ({reason}): start that one, "
                    f"or unset {variable} to have one started here."
                ) from error
            time.sleep(0.2)
        else:
            return


def _check_database(url: str) -> None:
    import psycopg  # noqa: PLC0415 - slow to import, and not needed with a server of our own

    psycopg.connect(url, connect_timeout=3).close()


def _check_cache(url: str) -> None:
    import redis  # noqa: PLC0415

    with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
        client.ping()


def _check_store(url: str) -> None:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    socket.create_connection((parts.hostname or "", port), timeout=2).close()


CHECKS: dict[str, Callable[[str], None]] = {
    "DATABASE_URL": _check_database,
    "REDIS_URL": _check_cache,
    "S3_ENDPOINT_URL": _check_store,
}
