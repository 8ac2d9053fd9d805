"""Runs that are started from the admin: one of a kind at a time, by a worker, with their progress.

Each run is safe to repeat and to break off (docs/archive.md), so a worker that dies costs nothing
but the time: its job is found silent, ends as failed and can be started again.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from celery import current_app
from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from kombu.exceptions import OperationalError
from redis import RedisError

from accounts.rights import may, require
from archive import backup, drill, purge, trim, verify
from archive.models import Job
from archive.runs import FAILURES, Shower
from audit import actors
from audit.actors import Actor
from audit.models import Action
from audit.services import Target, record
from common.errors import Refusal

logger = logging.getLogger(__name__)
Kind, State = Job.Kind, Job.State
SILENT = timedelta(seconds=60)
BEAT_SECONDS = 2.0
QUEUE_SECONDS = 2.0
SAMPLE = 0.01

RUNS: dict[str, Callable[[Shower], dict[str, Any]]] = {
    Kind.BACKUP: lambda shower: backup.backup(shower=shower),
    Kind.VERIFY: lambda shower: verify.verify(shower=shower),
    Kind.SAMPLE: lambda shower: verify.verify(sample=SAMPLE, shower=shower),
    Kind.REPAIR: lambda shower: verify.verify(repair=True, shower=shower),
    Kind.TRIM: lambda shower: trim.trim(shower=shower),
    Kind.PURGE: lambda shower: purge.purge(shower=shower),
    Kind.DRILL: lambda shower: drill.drill(shower=shower),
}
RIGHTS: dict[str, str] = {
    Kind.BACKUP: "archive.add_backuprun",
    Kind.VERIFY: "archive.add_backuprun",
    Kind.SAMPLE: "archive.add_backuprun",
    Kind.REPAIR: "archive.add_backuprun",
    Kind.TRIM: "archive.add_retentionrun",
    Kind.PURGE: "archive.add_retentionrun",
    Kind.DRILL: "archive.add_drillrun",
}
_ACTIONS: dict[str, Action] = {
    Kind.BACKUP: Action.BACKUP,
    Kind.VERIFY: Action.VERIFY,
    Kind.SAMPLE: Action.VERIFY,
    Kind.REPAIR: Action.VERIFY,
    Kind.TRIM: Action.TRIM,
    Kind.PURGE: Action.PURGE,
    Kind.DRILL: Action.DRILL,
}
GONE = "The worker that ran it is gone. What it had done stands: start it again to go on."
QUEUE_AWAY = "The queue is away, so no worker could be told. Start it again in a while."


def kinds_for(by: Actor) -> list[Job.Kind]:
    """Return what an actor may start."""
    return [kind for kind in Kind if may(by, RIGHTS[kind])]


def start_job(*, kind: str, by: Actor | None = None) -> tuple[Job, bool]:
    """Have a worker run something; return the job, and False where one of the kind is under way.

    Raises NotYours, and Refusal for no such kind.
    """
    by = by or actors.current()
    if kind not in Kind.values:
        raise Refusal("There is no such run.", field="kind")
    require(by, RIGHTS[kind])
    settle_silent()
    try:
        with transaction.atomic():
            job = Job.objects.create(kind=kind, asked_by=by.name)
            record(_ACTIONS[kind], by=by, target=Target("run", job.pk, str(Kind(kind).label)))
            transaction.on_commit(lambda: _send(job))
    except IntegrityError:
        live = Job.objects.filter(kind=kind, state__in=Job.LIVE).first()
        if live is None:
            # It ended in the same moment.
            return start_job(kind=kind, by=by)
        return live, False
    job.refresh_from_db()
    return job, True


def settle_silent() -> int:
    """End the jobs whose worker has fallen silent; return how many."""
    silent = Job.objects.filter(state=State.RUNNING, seen_at__lt=Now() - SILENT)
    return silent.update(state=State.FAILED, finished_at=Now(), sentence=GONE)


def run_job(*, job_id: int) -> bool:
    """Run a job, unless somebody else is at it or it has ended; return whether all went well."""
    # A task that is given out again after its worker died finds its job silent, and goes on.
    mine = Job.objects.filter(
        Q(state=State.WAITING) | Q(state=State.RUNNING, seen_at__lt=Now() - SILENT), pk=job_id
    ).update(state=State.RUNNING, seen_at=Now(), done=0)
    if not mine:
        return True
    job = Job.objects.get(pk=job_id)
    ok, sentence = False, "It broke off: see the worker's log."
    try:
        with _progress(job) as shower:
            report = RUNS[job.kind](shower)
        ok = bool(report["ok"])
        sentence = in_words(report)
    except (*FAILURES, Refusal, ValueError) as error:
        sentence = " ".join(str(error).split()) or type(error).__name__
        logger.warning("%s: %s", job, sentence)
    finally:
        _end(job, ok, sentence)
    return ok


def in_words(report: Mapping[str, Any]) -> str:
    """Return what a run reports as people read it on a page, without whether all went well."""
    parts: list[str] = []
    for key, value in report.items():
        if key == "failures":
            parts += value
        elif isinstance(value, bool):
            parts += [key.replace("_", " ")] if value and key != "ok" else []
        elif key != "command":
            parts.append(f"{key.replace('_', ' ')}: {_in_words(value)}")
    text = " · ".join(parts)
    # Not `capitalize`, which makes the rest small: paths and codes are in it.
    return text[:1].upper() + text[1:]


def _in_words(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, int | float):
        return f"{round(value, 2):,}".removesuffix(".0")
    try:
        return f"{datetime.fromisoformat(str(value)).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return str(value)


def _end(job: Job, ok: bool, sentence: str) -> None:
    Job.objects.filter(pk=job.pk, state=State.RUNNING).update(
        state=State.DONE if ok else State.FAILED, finished_at=Now(), sentence=sentence
    )


def _send(job: Job) -> None:
    from archive.tasks import run_job as task  # noqa: PLC0415 the tasks import this module

    patience = {"socket_timeout": QUEUE_SECONDS, "socket_connect_timeout": QUEUE_SECONDS}
    try:
        # A connection of its own, since the others wait as long as a hanging queue takes.
        with current_app.connection_for_write(transport_options=patience) as connection_:
            task.apply_async(args=(job.pk,), connection=connection_, retry=False)  # type: ignore[call-arg]
    except (OperationalError, RedisError, OSError):
        Job.objects.filter(pk=job.pk, state=State.WAITING).update(
            state=State.FAILED, finished_at=Now(), sentence=QUEUE_AWAY
        )


class _Counted:
    """What a run says of its progress, kept until the next beat."""

    def __init__(self) -> None:
        self.done = 0
        self.of: int | None = None
        self._lock = threading.Lock()

    def total(self, messages: int) -> None:
        """Take how many there are to go."""
        self.of = messages

    def advance(self, messages: int) -> None:
        """Take how many more are done."""
        with self._lock:
            self.done += messages


@contextmanager
def _progress(job: Job) -> Iterator[Shower]:
    """Have the job's row say every two seconds how far the run is, and that it lives."""
    counted, over = _Counted(), threading.Event()

    def tell() -> None:
        rows = Job.objects.filter(pk=job.pk, state=State.RUNNING)
        rows.update(seen_at=Now(), done=counted.done, total=counted.of)

    def beat() -> None:
        try:
            while not over.wait(BEAT_SECONDS):
                try:
                    tell()
                except FAILURES as error:
                    logger.info("%s: its progress could not be told: %s", job, error)
                    connection.close()
        finally:
            connection.close()

    thread = threading.Thread(target=beat, name="progress", daemon=True)
    thread.start()
    try:
        yield counted
    finally:
        over.set()
        thread.join()
        tell()
