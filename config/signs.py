"""Signs of life of the processes that answer no requests, and what their tasks came to.

They are on other machines than the web servers, perhaps, so they leave their word in the cache, as
the sweeper does: a hash of moments for worker and scheduler, a hash of counts for tasks. A cache
that loses them begins at zero, and where it is away nobody says anything.
"""

from __future__ import annotations

import time
from typing import Any

from celery import Celery, bootsteps, signals

from common import context
from common.cache import CacheUnavailable, cache

ALIVE_KEY, TASKS_KEY = "ops:alive", "ops:tasks"
WORKER_EVERY_SECONDS = 10.0
WORKER_LATE_SECONDS = 60.0
SCHEDULER_LATE_SECONDS = 180.0
"""The scheduler speaks whenever it sends a task: at least once a minute."""
SENT_AT = "strata_sent_at"
"""The header of a task that says when it was sent."""
REQUEST_ID = "strata_request_id"
"""The header of a task that says in which request it was sent, for the log."""


def say(process: str) -> None:
    """Note that a process lives; without the cache, don't."""
    _write(("HSET", ALIVE_KEY, process, int(time.time() * 1000)))


def _write(*commands: tuple[Any, ...]) -> None:
    try:
        cache.pipeline(commands)
    except CacheUnavailable:
        # Its readers say themselves that they know nothing.
        return


class _Pulse(bootsteps.StartStopStep):
    """Has the worker's main process, which no task keeps busy, say that it lives."""

    requires = ("celery.worker.components:Timer",)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        self.timer: Any = None
        super().__init__(worker, **kwargs)

    def start(self, worker: Any) -> None:
        say("worker")
        self.timer = worker.timer.call_repeatedly(WORKER_EVERY_SECONDS, say, ("worker",))

    def stop(self, worker: Any) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


_in_scheduler = False


def _on_scheduler(**kwargs: Any) -> None:
    global _in_scheduler  # noqa: PLW0603 - a process is one or it isn't
    _in_scheduler = True
    say("beat")


def _on_publish(headers: dict[str, Any] | None = None, **kwargs: Any) -> None:
    if headers is not None:
        headers[SENT_AT] = time.time()
        if context.current.request_id:
            headers[REQUEST_ID] = context.current.request_id
    if _in_scheduler:
        say("beat")


def _on_start(task: Any = None, task_id: str = "", **kwargs: Any) -> None:
    task.request.strata_started = time.time()
    context.process |= {"task": task.name, "task_id": task_id}
    if request_id := getattr(task.request, REQUEST_ID, None):
        context.process["request_id"] = str(request_id)


def _on_end(task: Any = None, state: str | None = None, retval: Any = None, **kwargs: Any) -> None:
    """Add a run to the counts: tasks of ours return False when something of it failed."""
    ended = time.time()
    ok = state == "SUCCESS" and retval is not False
    commands = [
        ("HINCRBY", TASKS_KEY, f"{task.name} {'ok' if ok else 'failed'}", 1),
        ("HSET", TASKS_KEY, f"{task.name} last", int(ended)),
        (
            *("HINCRBYFLOAT", TASKS_KEY, f"{task.name} seconds"),
            f"{ended - getattr(task.request, 'strata_started', ended):.3f}",
        ),
    ]
    for name in ("task", "task_id", "request_id"):
        context.process.pop(name, None)
    if ok:
        commands.append(("HSET", TASKS_KEY, f"{task.name} last_ok", int(ended)))
    _write(*commands)


def listen(app: Celery) -> None:
    """Have an application's processes leave their word."""
    app.steps["worker"].add(_Pulse)
    signals.beat_init.connect(_on_scheduler, weak=False)
    signals.before_task_publish.connect(_on_publish, weak=False)
    signals.task_prerun.connect(_on_start, weak=False)
    signals.task_postrun.connect(_on_end, weak=False)
