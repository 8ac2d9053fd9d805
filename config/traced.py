"""Whether traces are wanted, which is all that a process without them ever loads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
# They run for as long as the service does: what they do would be one trace without an end.
ENDLESS = frozenset({"sweep", "runserver", "shell", "dbshell"})


def wanted() -> bool:
    """Say whether the environment names a collector, by OpenTelemetry's own variables."""
    return (
        any(os.environ.get(name) for name in ENDPOINTS)
        and os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true"
        and os.environ.get("OTEL_TRACES_EXPORTER", "otlp") != "none"
    )


def start(process: str) -> None:
    """Trace this process, if that is wanted; Django is set up."""
    if wanted():
        from config import tracing  # noqa: PLC0415 - see above

        tracing.start(process)


def on_worker(**kwargs: Any) -> None:
    """Trace a worker and its children."""
    start("worker")


def on_scheduler(**kwargs: Any) -> None:
    """Trace the scheduler, whose tasks begin there."""
    start("beat")


@contextmanager
def command(name: str) -> Iterator[None]:
    """Trace a command of manage.py, if that is wanted and it ends."""
    if not wanted() or name in ENDLESS or not name:
        yield
        return
    import django  # noqa: PLC0415 - see above

    django.setup()
    start("command")
    from config import tracing  # noqa: PLC0415

    with tracing.work(f"manage {name}", {"strata.command": name}):
        yield
