"""What /metrics asks of PostgreSQL and the cache when it is read: three statements, one round trip.

Each is a probe as in `config/health.py`: asked in a thread of its own, waited for within bounds,
and an answer serves for a while, so that scrapes cost the same however many there are. What can't
be asked is left out, and the rest is told.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import psycopg
from django.conf import settings
from django.db import connections
from psycopg.rows import dict_row

from archive.verify import VERIFIED_KEY
from common.cache import cache, queue
from config import signs
from config.health import CONNECT_SECONDS, Probe
from messaging.sweeper import COUNTS_KEY

SERVER_SECONDS = 10.0
COLD_SECONDS = 60.0
STATEMENT_MS = 2000
MEASURED_KEY = "ops:measured"
_SQL = Path(__file__).parent / "sql"
_SERVER = (_SQL / "server.sql").read_text(encoding="utf-8")
_PEOPLE = (_SQL / "people.sql").read_text(encoding="utf-8")
_COLD = (_SQL / "cold.sql").read_text(encoding="utf-8")


def _row(statement: str) -> dict[str, Any]:
    """Return a statement's only row, over a connection of its own."""
    parameters = connections["default"].get_connection_params()
    for ours in ("cursor_factory", "context"):
        parameters.pop(ours, None)
    parameters["connect_timeout"] = CONNECT_SECONDS
    parameters["options"] = (
        f"{parameters.get('options', '')} -c statement_timeout={STATEMENT_MS}".strip()
    )
    with psycopg.connect(**parameters, row_factory=dict_row) as connection:
        return connection.execute(statement).fetchone() or {}


def ask_server() -> dict[str, Any]:
    """Return what PostgreSQL says of its connections, transactions and size."""
    return _row(_SERVER)


def ask_cold() -> dict[str, Any]:
    """Return how far cold storage is behind, and what its last runs came to."""
    return _row(_COLD)


def ask_people() -> dict[str, Any]:
    """Return what waits for a moderator."""
    return _row(_PEOPLE)


def ask_cache() -> dict[str, Any]:
    """Return what the cache keeps of itself, the queue, tasks, sweepers and measurements."""
    prefix = settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"]
    waiting = f"{prefix}celery"
    about, keys, tasks, sweeps, measured, verified, (seconds, _) = cache.pipeline(
        [
            ("INFO",),
            ("DBSIZE",),
            ("HGETALL", signs.TASKS_KEY),
            ("HGETALL", COUNTS_KEY),
            ("HGETALL", MEASURED_KEY),
            ("HGETALL", VERIFIED_KEY),
            ("TIME",),
        ]
    )
    length, oldest, unacknowledged = queue.pipeline(
        [("LLEN", waiting), ("LINDEX", waiting, -1), ("HLEN", f"{prefix}unacked")]
    )
    return {
        "info": _info(about),
        "keys": keys,
        "queued": length,
        "oldest": _age(oldest, int(seconds)),
        "unacknowledged": unacknowledged,
        "tasks": _pairs(tasks),
        "sweeps": _pairs(sweeps),
        "measured": _pairs(measured),
        "verified": _pairs(verified),
    }


def _info(about: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in about.decode().splitlines() if ":" in line)
    return {name: value for name, _, value in lines}


def _pairs(hash_: dict[bytes, bytes] | list[bytes]) -> dict[str, float]:
    """Return a hash as RESP3 or RESP2 has it."""
    pairs = hash_.items() if isinstance(hash_, dict) else zip(hash_[::2], hash_[1::2], strict=True)
    return {name.decode(): float(value) for name, value in pairs}


def _age(message: bytes | None, now: int) -> float:
    """Return how long ago a queued task was sent; 0 without one."""
    if message is None:
        return 0.0
    try:
        return max(0.0, now - float(orjson.loads(message)["headers"][signs.SENT_AT]))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return 0.0


SERVER = Probe("server", ask_server, SERVER_SECONDS)
PEOPLE = Probe("people", ask_people, SERVER_SECONDS)
COLD = Probe("cold", ask_cold, COLD_SECONDS)
KEPT = Probe("kept", ask_cache)
