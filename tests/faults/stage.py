"""A stack to break: its parts killed, frozen, emptied and filled, and waited for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import httpx
import psutil
import psycopg
import redis

from config.stack.live import LiveStack
from tests.http import Server

# A message whose sender's process died is delivered within this, and so is any other.
DELIVERY_SECONDS = 15.0
# A revoked token is refused everywhere within this.
REVOCATION_SECONDS = 5.0


class Stage:
    """Faults by name; `mend` undoes those that last."""

    def __init__(self, stack: LiveStack) -> None:
        self.stack = stack
        self.server = Server(stack.base_url)
        self.redis_url = stack.environment()["REDIS_URL"]
        self.database_url = stack.environment()["DATABASE_URL"]
        self._paused: set[str] = set()

    def close(self) -> None:
        """Let go of it."""
        self.mend()
        self.server.close()

    # The cache -----------------------------------------------------------------------------------

    def valkey(self) -> redis.Redis:
        """Return a client of the cache."""
        return redis.Redis.from_url(self.redis_url, socket_timeout=5)

    def flush(self) -> None:
        """Empty the cache."""
        with self.valkey() as client:
            client.flushall()

    def limit_memory(self, policy: str) -> None:
        """Leave the cache no room beyond what it holds now."""
        with self.valkey() as client:
            used = client.info("memory")["used_memory"]
            client.config_set("maxmemory-policy", policy)
            client.config_set("maxmemory", int(used))

    def free_memory(self) -> bool:
        """Give the cache its room again; true, if it answers."""
        with self.valkey() as client:
            client.config_set("maxmemory", 0)
            client.config_set("maxmemory-policy", "noeviction")
        return True

    # Processes -----------------------------------------------------------------------------------

    def pause(self, name: str) -> None:
        """Freeze a part."""
        self._paused.add(name)
        self.stack.pause(name)

    def resume(self, name: str) -> None:
        """Let a frozen part go on."""
        self.stack.resume(name)
        self._paused.discard(name)

    @contextlib.contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Freeze a part for a while."""
        self.pause(name)
        try:
            yield
        finally:
            self.resume(name)

    def workers(self) -> list[psutil.Process]:
        """Return the processes that answer requests."""
        return self.stack.workers() or self.stack.family("web")

    def kill_workers(self) -> list[psutil.Process]:
        """Kill -9 the processes that answer requests, and return them."""
        workers = self.workers()
        for worker in workers:
            with contextlib.suppress(psutil.Error):
                worker.kill()
        return workers

    # Waiting -------------------------------------------------------------------------------------

    def mend(self) -> None:
        """Undo what lasts, and wait until everything serves."""
        for name in list(self._paused):
            self.resume(name)
        until(self.free_memory, 30)
        self.wait_for_cache()
        self.wait_for_service()

    def wait_for_cache(self) -> None:
        """Wait until the cache answers and the sweeper vouches for what is in it."""

        def vouched() -> bool:
            with self.valkey() as client:
                before = client.hget("fresh", "ms")
                return before is not None and _until(
                    lambda: client.hget("fresh", "ms") != before, 5
                )

        until(vouched, 30)

    def wait_for_service(self) -> None:
        """Wait until the web server answers from the database."""
        until(lambda: self.server.get("/users/me/").status == 401, 30)
        until(lambda: bool(self.server.person().token), 30)


def _until(done: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(
            AssertionError, OSError, httpx.HTTPError, redis.RedisError, psycopg.Error
        ):
            if done():
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)


def until(done: Callable[[], bool], seconds: float) -> None:
    """Wait until something is so."""
    assert _until(done, seconds), f"not so within {seconds} s"
