"""The one way to the cache: a command or a named script in one round trip, or `CacheUnavailable`.

The connection is made by django-redis' pool (URL, password, TLS, time-outs); the exchange itself
is a packed command on that socket and a hiredis reader, since redis-py's retry and telemetry
layers cost more than the rest of a poll. Whoever calls must be able to do without an answer.
"""

import os
import threading
import time
from collections.abc import Sequence
from hashlib import sha1
from pathlib import Path
from typing import Any

import hiredis
from django.conf import settings
from django_redis import get_redis_connection
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from common.counts import Counter

Argument = bytes | str | int
RECEIVE_BYTES = 65536

# Counted where something goes wrong alone: what goes well is most of what is done.
FAILURES = Counter(
    "strata_cache_failures_total", "Round trips to the cache without an answer, by why.", "reason"
)
REFUSALS = Counter("strata_cache_refusals_total", "Commands that the cache answered with an error.")
SKIPPED = Counter("strata_cache_skipped_total", "Round trips not tried while the breaker was open.")
OPENINGS = Counter(
    "strata_cache_breaker_openings_total", "Times that the cache was left alone for a moment."
)
RECONNECTIONS = Counter(
    "strata_cache_reconnections_total", "Idle connections that the cache had closed."
)


def pack(command: Sequence[Argument]) -> bytes:
    """Return a command as it goes over the wire."""
    packed: bytes = hiredis.pack_command(tuple(command))  # type: ignore[arg-type]
    return packed


class CacheUnavailable(Exception):
    """The cache gave no answer: away, slow, full, loading, or believed so for a moment."""


class CacheRefused(CacheUnavailable):
    """The cache answered with an error, such as being full; the connection is fine."""


def _refused(reply: hiredis.ReplyError) -> CacheRefused:
    text = str(reply)
    if not text.startswith("NOSCRIPT"):
        REFUSALS.inc()
    return CacheRefused(text)


class _ConnectionLost(Exception):
    """The server closed an idle connection; nothing was executed for certain."""


class _Connection:
    """One thread's socket to the cache."""

    def __init__(self, alias: str) -> None:
        pool = get_redis_connection(alias).connection_pool
        self.owner = os.getpid()
        # Not the pool's make_connection: it counts those that it made, and never fewer, so that
        # after a hundred reconnections it would make no more.
        self._connection = pool.connection_class(**pool.connection_kwargs)
        self._connection.connect()
        # redis-py keeps the socket private; the version is pinned and a test guards the name.
        self._socket = self._connection._sock  # noqa: SLF001
        self._reader = hiredis.Reader()

    def exchange(self, packed: bytes, replies: int) -> list[Any]:
        """Send packed commands, return that many replies; an error reply is one of them."""
        try:
            self._socket.sendall(packed)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _ConnectionLost from error
        answers: list[Any] = []
        while len(answers) < replies:
            answer = self._reader.gets()
            if answer is not False:
                if not isinstance(answer, hiredis.PushNotification):
                    answers.append(answer)
                continue
            try:
                received = self._socket.recv(RECEIVE_BYTES)
            except ConnectionResetError as error:
                raise _ConnectionLost from error
            if not received:
                raise _ConnectionLost
            self._reader.feed(received)
        return answers

    def close(self) -> None:
        self._connection.disconnect()


class _Breaker:
    """Keeps a process from waiting for a cache that has just failed to answer.

    One late answer opens nothing: on a busy machine it means little, and each poll that then asks
    the database instead makes the machine busier. The second in a row does.
    """

    FAILURES = 2

    def __init__(self) -> None:
        self._closed_again_at = 0.0
        self.failures = 0

    def check(self) -> None:
        if self._closed_again_at and time.monotonic() < self._closed_again_at:
            SKIPPED.inc()
            raise CacheUnavailable("the cache did not answer a moment ago")

    def failed(self) -> None:
        """Note that an answer did not come."""
        self.failures += 1
        if self.failures >= self.FAILURES:
            self.open()

    def open(self) -> None:
        """Let nobody wait for the cache for a moment."""
        OPENINGS.inc()
        self._closed_again_at = time.monotonic() + settings.CACHE_BREAKER_MS / 1000

    def reset(self) -> None:
        """Forget past failures."""
        self._closed_again_at = 0.0
        self.failures = 0


class Cache:
    """Commands to the cache; every method is one round trip and raises `CacheUnavailable`."""

    def __init__(self, alias: str = "default") -> None:
        self._alias = alias
        self._local = threading.local()
        self.breaker = _Breaker()

    def execute(self, *command: Argument) -> Any:
        """Run one command and return its reply, raw bytes undecoded."""
        reply = self._exchange(pack(command), 1)[0]
        if isinstance(reply, hiredis.ReplyError):
            raise _refused(reply)
        return reply

    def pipeline(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Run several commands in one round trip; the first error reply among them is raised."""
        if not commands:
            return []
        packed = b"".join(pack(command) for command in commands)
        replies = self._exchange(packed, len(commands))
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise _refused(reply)
        return replies

    def close(self) -> None:
        """Drop this thread's connection and forget past failures."""
        self._discard()
        self.breaker.reset()

    def _exchange(self, packed: bytes, replies: int) -> list[Any]:
        self.breaker.check()
        try:
            try:
                answers = self._connection().exchange(packed, replies)
            except _ConnectionLost:
                # An idle connection that the server closed, as by a restart. All commands sent
                # here may be repeated, so one fresh connection gets one try.
                RECONNECTIONS.inc()
                self._discard()
                answers = self._connection().exchange(packed, replies)
        except (OSError, RedisError, _ConnectionLost, hiredis.HiredisError) as error:
            self._discard()
            late = isinstance(error, TimeoutError | RedisTimeoutError)
            FAILURES.inc("timeout" if late else "connection")
            self.breaker.failed()
            raise CacheUnavailable(str(error) or type(error).__name__) from error
        if self.breaker.failures:
            self.breaker.reset()
        return answers

    def _connection(self) -> _Connection:
        connection: _Connection | None = getattr(self._local, "connection", None)
        if connection is None or connection.owner != os.getpid():
            connection = self._local.connection = _Connection(self._alias)
        return connection

    def _discard(self) -> None:
        connection: _Connection | None = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None and connection.owner == os.getpid():
            connection.close()


cache = Cache()
queue = Cache("queue")
"""The server of the queue: the same one, unless `QUEUE_URL` names another."""


_names: dict[str, str] = {}


def command_name(packed: bytes) -> str:
    """Return the name of a packed command, or of the script that it runs: `HGET`, `poll`."""
    parts = packed.split(b"\r\n", 5)
    name = parts[2].decode("ascii", "replace")
    if name == "EVALSHA":
        return _names.get(parts[4].decode("ascii", "replace"), name)
    return name


class Script:
    """Named Lua files beside the module that runs them: one script, one round trip, atomic.

    Several files are joined in order, so that a shared function is written once. One `when_full`
    may write where the server has no more room: it counts, or replaces what is there.
    """

    def __init__(self, *paths: Path, when_full: bool = False) -> None:
        flags = [b"#!lua flags=allow-oom"] if when_full else []
        self.source = b"\n".join([*flags, *(path.read_bytes() for path in paths)])
        self.digest = sha1(self.source, usedforsecurity=False).hexdigest()
        _names[self.digest] = paths[-1].stem

    def __call__(self, keys: Sequence[Argument], args: Sequence[Argument] = ()) -> Any:
        """Run the script; a server that has forgotten it (a restart) is sent its source again."""
        try:
            return cache.execute("EVALSHA", self.digest, len(keys), *keys, *args)
        except CacheRefused as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
        return cache.execute("EVAL", self.source, len(keys), *keys, *args)

    def command(
        self, keys: Sequence[Argument], args: Sequence[Argument] = ()
    ) -> tuple[Argument, ...]:
        """Return the script's call as a command for a pipeline, source included."""
        return ("EVAL", self.source, len(keys), *keys, *args)


_LUA = Path(__file__).parent / "lua"
FRESH_LUA = _LUA / "fresh.lua"
"""Whether an entry may be believed; goes first into every script that asks."""
ROOM_LUA = _LUA / "room.lua"
"""Whether there is room for what can be had again; goes into every script that adds such things."""

_keep = Script(ROOM_LUA, _LUA / "keep.lua")


def keep(key: str, value: bytes, seconds: int) -> None:
    """Keep a value that can be had again, where there is room; raises CacheUnavailable."""
    _keep([key], [value, seconds])
