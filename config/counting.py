"""What a web worker counts of the requests that it answers, shared with its siblings.

The cells are those of `common/counts.py`; every answer changes a handful of them under one lock.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from bisect import bisect_left
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.core.signals import setting_changed
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch

from common import context, counts
from common.counts import Counter, Histogram
from common.limits import Throttled, count_refused
from common.logs import refusal_is_told
from common.pages import answer_refusal
from common.request_gate import BODY, REFUSED
from config import requests
from config.requests import BAD, NO_ROUTE

LED_FROM, UNCHANGED, FAILED_FROM, TOO_OFTEN = 300, 304, 500, 429
SERVED_FROM = "X-Served-From"
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUESTS = Counter(
    "strata_requests_total", "Requests answered, by route and class of status.", "route", "status"
)
SECONDS = Histogram(
    "strata_request_duration_seconds", "How long answers took.", "route", bounds=BOUNDS
)
SERVED = Counter(
    "strata_served_total",
    "Polls and pages of messages by the slowest tier that they had to ask.",
    "route",
    "tier",
)


_shared: Path | None = None


def share(run_folder: Path) -> None:
    """Count together with the other workers of this web server, in METRICS_DIR or a new folder."""
    global _shared  # noqa: PLW0603 - a process shares once
    if _shared is not None:
        return
    if settings.METRICS_DIR:
        candidates = [Path(settings.METRICS_DIR)]
    else:
        name = f"metrics-{os.getppid()}"
        candidates = [run_folder / name, Path(tempfile.gettempdir()) / name]
    for folder in candidates:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if not settings.METRICS_DIR:
                _forget_dead(folder.parent)
            counts.board.share(folder)
            _shared = folder
            return


def _forget_dead(parent: Path) -> None:
    """Remove the folders of web servers that are gone."""
    for folder in parent.glob("metrics-*"):
        pid = folder.name.partition("-")[2]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)


def own_folder() -> Path | None:
    """Return the folder that this process counts in; None while it counts for itself."""
    return _shared


def totals(run_folder: Path | None = None) -> dict[counts.Series, float]:
    """Return the counters of every web worker on this DATA_DIR, from any process: some ms.

    A histogram's value is its sum. They begin at zero when the web server starts again, so who
    takes differences takes a smaller number for one since zero.
    """
    if settings.METRICS_DIR:
        folders = [Path(settings.METRICS_DIR)]
    else:
        folders = list((run_folder or settings.DATA_DIR / "run").glob("metrics-*"))
    sums: dict[counts.Series, float] = {}
    for folder in folders:
        for series, values in counts.total(folder).items():
            sums[series] = sums.get(series, 0.0) + values[0]
    return sums


class Request(WSGIRequest):
    """Django's request, whose body is read already."""

    def __init__(self, environ: dict[str, Any]) -> None:
        super().__init__(environ)
        body = environ.get(BODY)
        if body is not None:
            self._body = body


class CountingHandler(WSGIHandler):
    """Django's handler, which names requests, counts their answers and tells of slow ones."""

    request_class = Request

    def __init__(self) -> None:
        super().__init__()
        self._trusting = settings.TRUST_REQUEST_ID
        self._slow = settings.SLOW_REQUEST_MS / 1000 or float("inf")

    def load_middleware(self, is_async: bool = False) -> None:
        """Load the middleware, and leave Django's line out where a refusal is not told."""
        super().load_middleware(is_async)
        answered: Any = self._middleware_chain  # type: ignore[has-type]

        def chain(request: HttpRequest) -> HttpResponseBase:
            response: HttpResponseBase = answered(request)
            if BAD <= response.status_code < FAILED_FROM and not refusal_is_told():
                # Django makes the line's record before it asks whether it is wanted.
                response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
            return response

        self._middleware_chain = chain

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request and count it."""
        started = perf_counter()
        current = context.current
        request_id = request.META.get("HTTP_X_REQUEST_ID") if self._trusting else None
        if request_id is None or not context.sound_id(request_id):
            request_id = context.new_id()
        request.request_id = current.request_id = request_id  # type: ignore[attr-defined]
        current.request, current.user_id = request, None
        response = super().get_response(request)
        if LED_FROM <= response.status_code < FAILED_FROM:
            response = self._counted(request, response)
        seconds = perf_counter() - started
        if count(request.resolver_match, response, seconds) or seconds >= self._slow:
            requests.tell(request, response, seconds)
        current.request = None
        current.request_id = ""
        return response

    def _counted(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Return a refusal or redirect, or the refusal of the limit that it takes from."""
        if response.status_code in {TOO_OFTEN, UNCHANGED}:
            return response
        try:
            count_refused(request)
        except Throttled as refused:
            return answer_refusal(request, refused)
        return response

    def _get_response(self, request: HttpRequest) -> HttpResponseBase:
        """Answer inside the middleware: what the request's gate has refused, for that."""
        refused = request.META.get(REFUSED)
        if refused is not None:
            return answer_refusal(request, refused)
        response: HttpResponseBase = super()._get_response(request)  # type: ignore[misc]
        return response


class UsualHandler(CountingHandler):
    """The handler of whatever comes from a browser."""

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, and say under which id."""
        response = super().get_response(request)
        response.headers[context.REQUEST_ID_HEADER] = request.request_id  # type: ignore[attr-defined]
        return response


_known: dict[tuple[str, int, str | None], tuple[int, int, int, bool]] = {}


def count(match: ResolverMatch | None, response: HttpResponseBase, seconds: float) -> bool:
    """Count one answer, less than a microsecond; return whether ACCESS_LOG names it."""
    status = response.status_code
    key = ((match and match.view_name) or NO_ROUTE, status, response.headers.get(SERVED_FROM))
    found = _known.get(key)
    if found is None:
        found = _known[key] = (*_places(*key), requests.named(key[0], status))
    answers, duration, other, told = found
    board = counts.board
    with board.lock:
        cells = board.cells
        cells[answers] += 1
        cells[duration] += seconds
        cells[duration + 1 + bisect_left(BOUNDS, seconds)] += 1
        cells[other] += 1
    return told


def _places(route: str, status: int, served: str | None) -> tuple[int, int, int]:
    """Return the cells of an answer; the last is cell 0, which nobody reads, for most."""
    other = 0 if served is None else SERVED.place(route, served)
    return REQUESTS.place(route, f"{status // 100}xx"), SECONDS.place(route), other


def forget_settings(**kwargs: Any) -> None:
    """Look at ACCESS_LOG anew, as a test that changes it must."""
    _known.clear()


setting_changed.connect(forget_settings)
