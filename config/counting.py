"""What a web worker counts of the requests that it answers, shared with its siblings.

A count is a number in a file that is mapped into memory, one file a worker (prometheus-client's
multiprocess mode), so that any worker can answer for all. `share` has to come before anything
imports prometheus_client, which looks for the folder then; without it a process counts for itself.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
NO_ROUTE = "none"


def share(run_folder: Path) -> None:
    """Count together with the other workers of this web server, in a folder of its own."""
    if os.environ.get(FOLDER):
        return
    for parent in (run_folder, Path(tempfile.gettempdir())):
        server = parent / f"metrics-{os.getppid()}"
        with suppress(OSError):
            server.mkdir(parents=True, exist_ok=True)
            _forget_dead(parent)
            os.environ[FOLDER] = str(server)
            return


def _forget_dead(parent: Path) -> None:
    """Remove the folders of web servers that are gone."""
    for folder in parent.glob("metrics-*"):
        pid = folder.name.partition("-")[2]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)


class CountingHandler(WSGIHandler):
    """Django's handler, which counts its answers and the time that they took."""

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request and count it."""
        started = perf_counter()
        response = super().get_response(request)
        count(request.resolver_match, response.status_code, perf_counter() - started)
        return response


_increments: dict[tuple[str, int], tuple[Callable[..., Any], Callable[..., Any]]] = {}


def count(match: ResolverMatch | None, status: int, seconds: float) -> None:
    """Count one answer; some microseconds."""
    key = (match.view_name if match else NO_ROUTE, status // 100)
    found = _increments.get(key)
    if found is None:
        found = _increments[key] = _counters(*key)
    found[0]()
    found[1](seconds)


def _counters(route: str, status_class: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    from config import metrics  # noqa: PLC0415 - see above: not before `share`

    return (
        metrics.REQUESTS.labels(route or NO_ROUTE, f"{status_class}xx").inc,
        metrics.SECONDS.labels(route or NO_ROUTE).inc,
    )
