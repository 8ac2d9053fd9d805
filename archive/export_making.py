"""Making exports, and keeping them in order: what the worker does for `archive/export.py`.

Whoever is at work on one holds an advisory lock, which ends with its process: the minutely task
begins again what a killed worker left, a few times, and then says that it failed. What is past its
day goes, object first.
"""

import hashlib
import logging
from datetime import datetime, timedelta
from tempfile import NamedTemporaryFile
from typing import IO, Any, Final
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from archive import export_zip
from archive.export import CONTENT_TYPE, KEPT, UNDER_WAY, enqueue_export, key_of_export
from archive.locks import Busy, Lock, held
from archive.models import Export
from archive.runs import FAILURES, Tally, reason_of
from archive.steps import step
from archive.store import patient
from common.database import row
from common.errors import NotFound, Unavailable

logger = logging.getLogger(__name__)
LEFT_ALONE: Final = timedelta(minutes=1)
"""After so long without a sign of life somebody looks whether it is still worked on."""
MOST_ATTEMPTS: Final = 5
_ERASED = "A message in it was erased since it was made. Ask for a new one."
_LOST = "{} messages are lost in cold storage and not in it: lost.ndjson says which."
_GIVEN_UP = "It was begun several times and never came to its end. Ask again later."


class Overtaken(Exception):
    """The export is somebody else's to make by now, or nobody's any more."""


def make_export(*, export_id: UUID) -> str:
    """Make an export unless somebody is at it; return what became of it, in a word."""
    try:
        with held(_lock_number(export_id), patience=0.0) as lock:
            return _make(export_id, lock)
    except Busy:
        return "busy"


def _lock_number(export_id: UUID) -> int:
    return int.from_bytes(export_id.bytes[8:], signed=True)


def _make(export_id: UUID, lock: Lock) -> str:
    work = Export.objects.filter(UNDER_WAY, pk=export_id)
    export = work.first()
    if export is None:
        return "nothing to do"
    if export.attempt >= MOST_ATTEMPTS:
        work.update(state=Export.State.FAILED, finished_at=Now(), detail=export.detail or _GIVEN_UP)
        return "failed"
    work.update(
        state=Export.State.RUNNING, attempt=export.attempt + 1, seen_at=Now(), messages=0,
        total=export_zip.total_of(export.user_id), detail="",
    )  # fmt: skip
    mine = Export.objects.filter(
        pk=export_id, state=Export.State.RUNNING, attempt=export.attempt + 1
    )
    step("export.claimed")
    try:
        _write(export, lock, mine)
    except Overtaken:
        return "overtaken"
    except (*FAILURES, NotFound, Unavailable, OSError) as error:
        reason = reason_of(error)
        logger.warning("export %s, attempt %d: %s", export_id, export.attempt + 1, reason)
        mine.update(state=Export.State.WAITING, seen_at=Now(), detail=reason[:500])
        return "to be tried again"
    return "ready"


def _write(export: Export, lock: Lock, mine: Any) -> None:
    """Write the ZIP and record it; raises Overtaken when it is not ours to record any more."""
    key = key_of_export(export.user_id, export.pk)

    def progress(messages: int) -> None:
        lock.check()
        if not mine.update(messages=messages, seen_at=Now()):
            raise Overtaken

    # At last it does without what can't be had, and says so: one lost object is no end of them all.
    lost: list[export_zip.Lost] | None = [] if export.attempt + 1 >= MOST_ATTEMPTS else None
    with NamedTemporaryFile(prefix="strata-export-") as file:
        export_zip.write_zip(file, export.user_id, export.asked_at, progress, lost=lost)
        size = file.tell()
        digest = _digest(file)
        step("export.written")
        patient.put_file(key, file.name, CONTENT_TYPE, {"sha256": digest})
    step("export.put")
    sha = hashlib.sha256()
    for chunk in patient.get(key).chunks:
        sha.update(chunk)
    if sha.hexdigest() != digest:
        raise OSError("the bucket gives other bytes back than were written")
    lock.check()
    lacking = sum(one.last - one.first + 1 for one in lost or ())
    if not mine.update(
        state=Export.State.READY, finished_at=Now(), expires_at=Now() + KEPT, size=size,
        sha256=bytes.fromhex(digest), detail=_LOST.format(lacking) if lacking else "",
    ):  # fmt: skip
        # Withdrawn meanwhile: nobody would ever ask for it.
        patient.delete([key])
        raise Overtaken
    step("export.ready")


def _digest(file: IO[bytes]) -> str:
    file.flush()
    file.seek(0)
    sha = hashlib.sha256()
    while chunk := file.read(1024 * 1024):
        sha.update(chunk)
    return sha.hexdigest()


def tend_exports() -> dict[str, Any]:
    """Begin again what nobody is at work on, and delete what is past its day; report."""
    tally = Tally()
    tally.add(begun=0, deleted=0)
    now: datetime = row("SELECT clock_timestamp()", ())[0]
    for export_id in Export.objects.filter(UNDER_WAY, seen_at__lt=now - LEFT_ALONE).values_list(
        "pk", flat=True
    ):
        enqueue_export(export_id)
        tally.add(begun=1)
    gone = Q(state=Export.State.READY, expires_at__lte=now) | Q(
        state__in=[Export.State.FAILED, Export.State.WITHDRAWN], asked_at__lte=now - KEPT
    )
    for export in Export.objects.filter(gone):
        try:
            # What is told to nobody any more is asked for by nobody.
            Export.objects.filter(gone, pk=export.pk).update(state=Export.State.WITHDRAWN)
            patient.delete([key_of_export(export.user_id, export.pk)])
            step("export.deleted")
            Export.objects.filter(pk=export.pk).delete()
            tally.add(deleted=1)
        except FAILURES as error:
            tally.fail(export, error)
    return {"command": "exports", **tally.report()}


def withdraw_exports(*, of: Q) -> None:
    """Take back exports that are being made or ready, of the users that `of` says, and delete them.

    Raises ArchiveUnavailable; may be called again then.
    """
    Export.objects.filter(of, state__in=[Export.State.RUNNING, Export.State.READY]).update(
        state=Export.State.WITHDRAWN, finished_at=Now(), detail=_ERASED
    )
    withdrawn = Export.objects.filter(of, state=Export.State.WITHDRAWN)
    for user_id, export_id in withdrawn.values_list("user", "pk"):
        patient.delete([key_of_export(user_id, export_id)])
