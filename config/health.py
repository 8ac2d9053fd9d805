"""Whether the service lives and what it depends on does, asked without ever waiting for long.

Each question is asked in a thread of its own, one at a time and at most once a second in a process,
so that a dependency that hangs, or a crowd that asks, costs one thread and nothing else.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.db import connections

from accounts.models import User
from archive.models import HourObject, Segment
from common.cache import cache
from config import signs
from messaging.models import Chat, Membership, Message
from messaging.scripts import INDEX_BELIEF_MS

PATIENCE_SECONDS = 2.5
"""How long an answer is waited for; the answer of /readyz itself comes within 3 s."""
CONNECT_SECONDS = 2
BRIEF_SECONDS = 0.3
"""The same after a failure, so that a crowd does not wait for what hangs."""
REUSE_SECONDS = 1.0
"""How long an answer serves for the next who asks."""

COUNTED = {
    "users": User,
    "chats": Chat,
    "memberships": Membership,
    "messages": Message,
    "segments": Segment,
    "hour_objects": HourObject,
}
_ESTIMATES = """
SELECT reltuples, current_setting('transaction_read_only')
  FROM unnest(%s::regclass[]) WITH ORDINALITY AS named(id, place)
  JOIN pg_class ON pg_class.oid = named.id ORDER BY place
"""


class TakesNoWrites(Exception):
    """The database answers, but nothing can be written: a replica, or a primary demoted."""


@dataclass(slots=True)
class Answer:
    """What came of asking a dependency."""

    ok: bool
    detail: str = ""
    seconds: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    at: float | None = None
    """When it came, in seconds since 1970; None while there is none."""
    good_at: float | None = None
    """When the last good one came, None when none has."""


class Probe:
    """A question to one dependency; an answer serves for `reuse` seconds."""

    def __init__(
        self, name: str, ask: Callable[[], dict[str, Any]], reuse: float = REUSE_SECONDS
    ) -> None:
        self.name = name
        self._ask = ask
        self._reuse = reuse
        self._good_at: float | None = None
        self._lock = threading.Lock()
        self._asked: Future[Answer] | None = None
        self._since = 0.0
        self.failure: Answer | None = None

    def ask(self) -> Future[Answer]:
        """Return the answer to come: that of a moment ago, the one under way, or a new one."""
        with self._lock:
            stale = time.monotonic() - self._since > (
                REUSE_SECONDS if self.failure else self._reuse
            )
            if self._asked is None or (stale and self._asked.done()):
                self._asked, self._since = Future(), time.monotonic()
                # A daemon, so that one that hangs does not keep the process from ending.
                threading.Thread(target=self._run, args=(self._asked,), daemon=True).start()
            return self._asked

    def _run(self, asked: Future[Answer]) -> None:
        started = time.perf_counter()
        try:
            facts = self._ask()
        except TakesNoWrites:
            answer = Answer(ok=False, detail="It is read-only: messages can't be sent.")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            # The kind alone: a driver's sentence may hold addresses, and the page is open to all.
            answer = Answer(ok=False, detail=f"It could not be used ({type(error).__name__}).")
        else:
            answer = Answer(ok=True, facts=facts)
        answer.seconds = time.perf_counter() - started
        answer.at = time.time()
        if answer.ok:
            self._good_at = answer.at
        answer.good_at = self._good_at
        self.failure = None if answer.ok else answer
        asked.set_result(answer)

    def answer(self, asked: Future[Answer], since: float) -> Answer:
        """Return what came of asking, else the last failure, else that it takes too long."""
        patience = BRIEF_SECONDS if self.failure else PATIENCE_SECONDS
        try:
            return asked.result(max(0.0, since + patience - time.monotonic()))
        except TimeoutError:
            late = f"It has not answered for {PATIENCE_SECONDS} s."
            return self.failure or Answer(ok=False, detail=late, good_at=self._good_at)


def ask_database() -> dict[str, float]:
    """Open a connection of its own and return how many rows PostgreSQL believes the tables have.

    Raises TakesNoWrites.
    """
    parameters = connections["default"].get_connection_params()
    parameters["connect_timeout"] = CONNECT_SECONDS
    tables = [model._meta.db_table for model in COUNTED.values()]
    with psycopg.connect(**parameters) as connection:
        found = connection.execute(_ESTIMATES, [tables]).fetchall()
    if any(read_only == "on" for _count, read_only in found):
        raise TakesNoWrites
    # -1 is a table that was never analysed.
    return {name: count for name, (count, _) in zip(COUNTED, found, strict=True) if count >= 0}


def ask_cache() -> dict[str, float]:
    """Return how old the last words of sweeper, worker and scheduler are, of those that spoke."""
    (said,), (worker, beat), (seconds, micros) = cache.pipeline(
        [
            ("HMGET", "fresh", "ms"),
            ("HMGET", signs.ALIVE_KEY, "worker", "beat"),
            ("TIME",),
        ]
    )
    now = int(seconds) + int(micros) / 1_000_000
    moments = {"sweeper_age": said, "worker_age": worker, "beat_age": beat}
    return {
        name: max(0.0, now - int(moment) / 1000)
        for name, moment in moments.items()
        if moment is not None
    }


def ask_object_store() -> dict[str, float]:
    """Ask for the bucket's head with our own key; raise unless it is there."""
    # Here, as a web worker needs them for nothing else: they take 17 MB.
    from botocore.auth import S3SigV4Auth  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.credentials import Credentials  # noqa: PLC0415

    endpoint = settings.S3_ENDPOINT_URL or f"https://s3.{settings.S3_REGION}.amazonaws.com"
    url = urlsplit(f"{endpoint.rstrip('/')}/{settings.S3_BUCKET}")
    signed = AWSRequest("HEAD", url.geturl())
    if settings.S3_ACCESS_KEY_ID:
        key = Credentials(settings.S3_ACCESS_KEY_ID, settings.S3_SECRET_ACCESS_KEY)
        S3SigV4Auth(key, "s3", settings.S3_REGION).add_auth(signed)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.netloc, timeout=CONNECT_SECONDS)
    try:
        connection.request("HEAD", url.path, headers=dict(signed.headers.items()))
        status = connection.getresponse().status
    finally:
        connection.close()
    if status >= http.client.BAD_REQUEST:
        raise ConnectionError(f"the bucket's head is a {status}")
    return {}


DATABASE = Probe("database", ask_database)
CACHE = Probe("cache", ask_cache)
OBJECT_STORE = Probe("object_store", ask_object_store)


def answers(*probes: Probe) -> dict[str, Answer]:
    """Ask all at once and return what each answered, within PATIENCE_SECONDS."""
    since = time.monotonic()
    asked = [(probe, probe.ask()) for probe in probes]
    return {probe.name: probe.answer(future, since) for probe, future in asked}


LATE_SECONDS = {
    "sweeper": (INDEX_BELIEF_MS / 1000, "It is late: reads ask the database meanwhile."),
    "worker": (signs.WORKER_LATE_SECONDS, "It is late: backups and other tasks wait."),
    "beat": (signs.SCHEDULER_LATE_SECONDS, "It is late: no task is sent when it is due."),
}
"""When the last word of a process is too old, and what that means."""


def speaker(name: str, cache_answer: Answer) -> Answer:
    """Return what the cache's answer says of a process that leaves its word there."""
    age = cache_answer.facts.get(f"{name}_age")
    if not cache_answer.ok:
        return Answer(ok=False, detail="Its word is in the cache, which can't be used.")
    if age is None:
        return Answer(ok=False, detail="It has not spoken yet.", at=cache_answer.at)
    bound, meaning = LATE_SECONDS[name]
    late = age > bound
    return Answer(
        ok=not late,
        detail=meaning if late else "",
        facts={"age_seconds": round(age, 3)},
        at=cache_answer.at,
    )


def readiness() -> dict[str, dict[str, Any]]:
    """Return each dependency's state: `ok`, `degraded` (slower, never wrong) or `unavailable`."""
    found = answers(DATABASE, CACHE, OBJECT_STORE)
    found["sweeper"] = speaker("sweeper", found["cache"])
    return {name: _shown(name, answer) for name, answer in found.items()}


def processes() -> dict[str, dict[str, Any]]:
    """Return how worker and scheduler are, whom no request needs: `ok` or `late`."""
    (asked,) = answers(CACHE).values()
    found = {name: speaker(name, asked) for name in ("worker", "beat")}
    return {
        name: _shown(name, answer) | ({} if answer.ok else {"state": "late"})
        for name, answer in found.items()
    }


def _shown(name: str, answer: Answer) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "state": "ok" if answer.ok else "unavailable" if name == "database" else "degraded"
    }
    if answer.seconds:
        shown["latency_ms"] = round(answer.seconds * 1000, 2)
    if "age_seconds" in answer.facts:
        shown["age_seconds"] = answer.facts["age_seconds"]
    now = time.time()
    for moment, key in ((answer.at, "checked_seconds_ago"), (answer.good_at, "ok_seconds_ago")):
        if moment is not None:
            shown[key] = round(max(0.0, now - moment), 3)
    return shown | ({"detail": answer.detail} if answer.detail else {})
