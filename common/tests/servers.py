"""The cache server itself in a test: what it was asked, and what happens when it hangs or is full."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import redis
from django.conf import settings
from django.db import connection

from common.cache import cache


def admin_client(**options: Any) -> redis.Redis:
    """Return a client of its own, which the code under test knows nothing of."""
    return redis.Redis.from_url(settings.REDIS_URL, **options)


@contextmanager
def monitored_cache() -> Iterator[list[str]]:
    """Collect what clients ask the cache, one entry a round trip; a script's inner calls aside."""
    seen: list[str] = []
    client = admin_client()
    with client.monitor() as monitor:
        yield seen
        client.echo("end of the monitored part")
        for entry in monitor.listen():
            command = entry["command"]
            if command == "ECHO end of the monitored part":
                return
            if entry["client_type"] != "lua" and not command.startswith(
                ("SELECT", "CLIENT", "HELLO")
            ):
                seen.append(command)


@contextmanager
def paused_cache() -> Iterator[None]:
    """Stop the cache's process: connections stand, answers don't come."""
    pid = admin_client().info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
        cache.close()


@contextmanager
def full_cache() -> Iterator[None]:
    """Fill the cache up to its limit: it refuses whatever takes memory."""
    client = admin_client()
    before = client.config_get("maxmemory", "maxmemory-policy")
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        for name, value in before.items():
            client.config_set(str(name), str(value))
        cache.close()


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Run something in so many threads that start it at one moment; return what each returned."""
    barrier = threading.Barrier(count)

    def run(number: int) -> Any:
        try:
            barrier.wait(timeout=30)
            return act(number)
        finally:
            cache.close()
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
