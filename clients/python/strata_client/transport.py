"""HTTP with patience: what may be repeated is, until it is answered or the time is up."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from strata_client.errors import Refused, Unavailable
from strata_client.models import Problem

AGAIN_LATER = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0


class Transport:
    """Requests to one server, as one user or as nobody."""

    def __init__(
        self, base_url: str, *, token: str | None, timeout: float, patience: float
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.token = token
        self.patience = patience
        self.http = httpx.Client(timeout=timeout, follow_redirects=False)

    def call(
        self,
        method: str,
        path: str,
        *,
        body: dict[str, Any] | None = None,
        params: dict[str, Any] | None = None,
        repeatable: bool = True,
    ) -> httpx.Response:
        """Return the answer to a request.

        One that is not `repeatable` is sent again only where it surely did nothing. Raises Refused
        for a refusal, Unavailable when the patience is at its end.
        """
        deadline = time.monotonic() + self.patience
        for pause in _pauses():
            try:
                response = self.http.request(
                    method,
                    self.base_url + path,
                    json=body,
                    params=params,
                    headers=self._headers(),
                )
            except httpx.TransportError as error:
                reached = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                if (reached and not repeatable) or time.monotonic() + pause > deadline:
                    raise Unavailable(f"{self.base_url} gave no answer: {error}") from error
                time.sleep(pause)
                continue
            if response.status_code not in AGAIN_LATER:
                return _checked(response)
            done = response.status_code != HTTPStatus.TOO_MANY_REQUESTS and not repeatable
            asked = max(pause, _retry_after(response))
            if done or time.monotonic() + asked > deadline:
                raise Unavailable(f"{self.base_url} is busy: {_refusal(response)}")
            time.sleep(asked)
        raise AssertionError("pauses never end")

    def path_of(self, link: str) -> str:
        """Return the path of a link from an answer: the token goes to no other server."""
        parts = urlsplit(link)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    @contextmanager
    def stream(self, path: str) -> Iterator[httpx.Response]:
        """Yield an answer whose body is read while it comes."""
        with self.http.stream("GET", self.base_url + path, headers=self._headers()) as response:
            if response.is_error:
                response.read()
            yield _checked(response)

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json, application/x-ndjson;q=0.9"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers


def _pauses() -> Iterator[float]:
    pause = FIRST_PAUSE_SECONDS
    while True:
        # Spread, so that many clients don't come back at the same moment.
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311  # nosec B311 # no secret hangs on it
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else 0.0


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    raise _refusal(response)


def _refusal(response: httpx.Response) -> Refused:
    try:
        problems = tuple(
            Problem(each["code"], each["detail"], each["attr"])
            for each in response.json()["errors"]
        )
    except (ValueError, LookupError, TypeError):
        # A proxy's page, say.
        problems = (Problem("unknown", f"The server answered {response.status_code}.", None),)
    return Refused(response.status_code, problems)
