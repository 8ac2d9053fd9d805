"""Ways to what the stack keeps in Valkey."""

from __future__ import annotations

import redis


def flush(url: str) -> None:
    """Empty the cache, as a restart of it would."""
    with redis.Redis.from_url(url) as client:
        client.flushall()
