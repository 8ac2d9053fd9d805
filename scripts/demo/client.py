"""A client as Strata's documents ask for: it repeats what got no answer, and a send safely."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import urllib3

PATIENCE_SECONDS = 60.0
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0
# The server, or what it needs, is away for a moment.
AWAY = frozenset((502, 503, 504))
TOO_MANY = 429


class Unanswered(Exception):
    """No answer to a request, however often it was repeated."""


class Refused(Exception):
    """An answer that a correct server does not give here, or a limit that is not waited for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and its JSON."""

    status: int
    data: dict[str, Any]


class Server:
    """The server under a URL, for any number of threads."""

    def __init__(self, url: str, threads: int) -> None:
        self.url = url.rstrip("/")
        self.tiers: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.retries = 0
        self._lock = threading.Lock()
        self._pool = urllib3.PoolManager(
            maxsize=threads, retries=False, timeout=urllib3.Timeout(connect=3.0, read=15.0)
        )

    def call(  # nosec B107 # no token, not one that is known
        self, method: str, path: str, body: dict[str, Any] | None = None, token: str = ""
    ) -> Answer:
        """Send a request until it is answered; raise `Unanswered` when that takes too long.

        What a limit refuses is sent again when it says so; raise `Refused` when that is too late.
        """
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        content = None if body is None else json.dumps(body).encode()
        deadline = time.monotonic() + PATIENCE_SECONDS
        pause = FIRST_PAUSE
        while True:
            try:
                response = self._pool.request(
                    method, self.url + path, body=content, headers=headers
                )
            except urllib3.exceptions.HTTPError as error:
                problem, wait = str(error), 0.0
            else:
                wait = float(response.headers.get("Retry-After") or 0)
                if response.status == TOO_MANY:
                    if time.monotonic() + wait > deadline:
                        raise Refused(
                            f"A limit of this server stops the demo: {method} {path} may be "
                            f"sent again in {wait:.0f} s. LIMIT_FREE_ADDRESSES says for whom no "
                            "limit holds."
                        )
                    time.sleep(wait)
                    continue
                if response.status not in AWAY:
                    return self._answer(path, response)
                problem = f"status {response.status}"
            if time.monotonic() > deadline:
                raise Unanswered(f"{method} {path}: {problem}")
            with self._lock:
                self.retries += 1
            time.sleep(max(min(wait, LONGEST_PAUSE), pause * random.uniform(0.5, 1.5)))  # noqa: S311  # nosec B311 # spreads pauses, no secret hangs on it
            pause = min(2 * pause, LONGEST_PAUSE)

    def expect(  # nosec B107 # no token, not one that is known
        self, statuses: tuple[int, ...], path: str, body: dict[str, Any], token: str = ""
    ) -> Answer:
        """Post a request whose answer must have one of these statuses; else raise `Refused`."""
        answer = self.call("POST", path, body, token)
        if answer.status not in statuses:
            raise Refused(f"POST {path} was answered {answer.status}: {json.dumps(answer.data)}")
        return answer

    def _answer(self, path: str, response: urllib3.BaseHTTPResponse) -> Answer:
        tier = response.headers.get("X-Served-From")
        with self._lock:
            self.requests[path.partition("?")[0]] += 1
            if tier:
                self.tiers[tier] += 1
        try:
            data = response.json()
        except ValueError as error:
            text = response.data[:200].decode("utf-8", "replace")
            raise Refused(f"{path} was answered {response.status} without JSON: {text}") from error
        return Answer(response.status, data if isinstance(data, dict) else {})
