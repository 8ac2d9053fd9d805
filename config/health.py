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
from common.cache import cache
from messaging.models import Chat, Membership, Message
from messaging.scripts import INDEX_BELIEF_MS

PATIENCE_SECONDS = 2.5
"""How long an answer is waited for; the answer of /readyz itself comes within 3 s."""
CONNECT_SECONDS = 2
BRIEF_SECONDS = 0.3
"""The same after a failure, so that a crowd does not wait for what hangs."""
REUSE_SECONDS = 1.0
"""How long an answer serves for the next who asks."""

COUNTED = {"users": User, "chats": Chat, "memberships": Membership, "messages": Message}
_ESTIMATES = """
SELECT reltuples FROM unnest(%s::regclass[]) WITH ORDINALITY AS named(id, place)
  JOIN pg_class ON pg_class.oid = named.id ORDER BY place
"""


@dataclass(slots=True)
class Answer:
    """What came of asking a dependency."""

    ok: bool
    detail: str = ""
    seconds: float | None = None
    facts: dict[str, float] = field(default_factory=dict)


class Probe:
    """A question to one dependency."""

    def __init__(self, name: str, ask: Callable[[], dict[str, float]]) -> None:
        self.name = name
        self._ask = ask
        self._lock = threading.Lock()
        self._asked: Future[Answer] | None = None
        self._since = 0.0
        self.failure: Answer | None = None

    def ask(self) -> Future[Answer]:
        """Return the answer to come: that of a moment ago, the one under way, or a new one."""
        with self._lock:
            stale = time.monotonic() - self._since > REUSE_SECONDS
            if self._asked is None or (stale and self._asked.done()):
                self._asked, self._since = Future(), time.monotonic()
                # A daemon, so that one that hangs does not keep the process from ending.
                threading.Thread(target=self._run, args=(self._asked,), daemon=True).start()
            return self._asked

    def _run(self, asked: Future[Answer]) -> None:
        started = time.perf_counter()
        try:
            facts = self._ask()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            # The kind alone: a driver's sentence may hold addresses, and the page is open to all.
            answer = Answer(ok=False, detail=f"It could not be used ({type(error).__name__}).")
        else:
            answer = Answer(ok=True, facts=facts)
        answer.seconds = time.perf_counter() - started
        self.failure = None if answer.ok else answer
        asked.set_result(answer)

    def answer(self, asked: Future[Answer], since: float) -> Answer:
        """Return what came of asking, else the last failure, else that it takes too long."""
        patience = BRIEF_SECONDS if self.failure else PATIENCE_SECONDS
        try:
            return asked.result(max(0.0, since + patience - time.monotonic()))
        except TimeoutError:
            late = f"It has not answered for {PATIENCE_SECONDS} s."
            return self.failure or Answer(ok=False, detail=late)


def ask_database() -> dict[str, float]:
    """Open a connection of its own and return how many rows PostgreSQL believes the tables have."""
    parameters = connections["default"].get_connection_params()
    parameters["connect_timeout"] = CONNECT_SECONDS
    tables = [model._meta.db_table for model in COUNTED.values()]
    with psycopg.connect(**parameters) as connection:
        found = connection.execute(_ESTIMATES, [tables]).fetchall()
    # -1 is a table that was never analysed.
    return {name: count for name, (count,) in zip(COUNTED, found, strict=True) if count >= 0}


def ask_cache() -> dict[str, float]:
    """Return how old the sweeper's last word is, in seconds, if it has spoken."""
    (said, _), (seconds, micros) = cache.pipeline([("HMGET", "fresh", "ms", "since"), ("TIME",)])
    now = int(seconds) + int(micros) / 1_000_000
    return {} if said is None else {"sweeper_age": max(0.0, now - int(said) / 1000)}


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


def sweeper(cache_answer: Answer) -> Answer:
    """Return what the cache's answer says of the sweeper."""
    age = cache_answer.facts.get("sweeper_age")
    if not cache_answer.ok:
        return Answer(ok=False, detail="Its word is in the cache, which can't be used.")
    if age is None:
        return Answer(ok=False, detail="It has not spoken yet.")
    late = age * 1000 > INDEX_BELIEF_MS
    return Answer(
        ok=not late,
        detail="It is late: reads ask the database meanwhile." if late else "",
        facts={"age_seconds": round(age, 3)},
    )


def readiness() -> dict[str, dict[str, Any]]:
    """Return each dependency's state: `ok`, `degraded` (slower, never wrong) or `unavailable`."""
    found = answers(DATABASE, CACHE, OBJECT_STORE)
    found["sweeper"] = sweeper(found["cache"])
    return {
        name: {
            "state": "ok" if answer.ok else "unavailable" if name == "database" else "degraded",
            **({"latency_ms": round(answer.seconds * 1000, 2)} if answer.seconds else {}),
            **(
                {"age_seconds": answer.facts["age_seconds"]}
                if name == "sweeper" and answer.facts
                else {}
            ),
            **({"detail": answer.detail} if answer.detail else {}),
        }
        for name, answer in found.items()
    }
