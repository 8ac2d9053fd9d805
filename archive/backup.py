"""Backup: afterwards every message sent before the cutoff is in the prefix of all who saw it."""

import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now

from archive import anchors, checking, contradicted, erase, listing, manifests, signing, snapshot
from archive.chat_backup import Progress, backup_chat
from archive.contradiction_search import lost_since, search
from archive.hours import Damaged, hour_from, hour_start
from archive.models import BackupRun
from archive.runs import FAILURES, Shower, Silent, Tally, side_by_side
from archive.sql import read_sql
from archive.store import patient
from archive.writing import Writers, Written
from common.cache import CacheUnavailable
from common.database import row, rows
from common.errors import Unavailable
from messaging import database_mark
from messaging.database_mark import Mark
from messaging.inbox import horizon
from messaging.sweeper import Sweeper
from messaging.sweeper_state import read_state
from messaging.tiers import Chat
from messaging.wire import to_micros

logger = logging.getLogger(__name__)
_CHATS = read_sql("chats_to_archive.sql")
_PENDING = """
SELECT coalesce(sum(c.last_seq - coalesce(w.archived_seq, c.start_seq - 1)), 0)::bigint
  FROM messaging_chat c LEFT JOIN archive_watermark w ON w.chat_id = c.id
"""
CHATS_AT_ONCE = 500
KEPT_SHOWN = 1000
"""So many objects that contradict the log a run names at most; the log names them all."""
PATIENCE_SECONDS = 40.0


class NotOver(Exception):
    """The hour has not ended by the database's clock, and the running one was not asked for."""


class Target(NamedTuple):
    """A chat to back up."""

    chat: Chat
    pending: int

    def __str__(self) -> str:
        return f"chat {self.chat.id}"


def backup(
    *,
    hour: int | None = None,
    now: bool = False,
    dry_run: bool = False,
    shower: Shower | None = None,
) -> dict[str, Any]:
    """Bring into cold storage what was sent before the last full hour, or `hour`'s end; report.

    `now` also takes the hour still running. With `hour` the objects of that hour that were written
    before are read, and damaged or lost ones written again. Raises NotOver.
    """
    shower, tally = shower or Silent(), Tally()
    cutoff = cutoff_of(hour, now=now)
    shower.total(row(_PENDING, ())[0])
    if dry_run:
        for target in targets():
            tally.add(chats=1, messages=target.pending)
        return {"command": "backup", "dry_run": True, "until": cutoff.isoformat(), **tally.report()}
    if not now:
        wait_for_commits(cutoff)
    compare_database(tally)
    begun = read_state().mark
    run = BackupRun.objects.create(until=cutoff)
    writers = Writers(settings.ARCHIVE_THREADS)
    tally.add(chats=0, hours=0, messages=0, objects=0, bytes=0)

    def written(one: Written) -> None:
        tally.add(objects=1, copies=one.facts.count, bytes=one.size)

    def hour_done(messages: int) -> None:
        tally.add(hours=1, messages=messages)
        shower.advance(messages)
        tally.go_on()

    def act(target: Target) -> None:
        backup_chat(target.chat, cutoff, patient, writers, Progress(written, hour_done))
        tally.add(chats=1)

    try:
        # First, since what is written from here on needs no second signature.
        _attempt("signing what is there", lambda: signing.sign_some(tally), tally)
        erase.finish(tally)
        if (since := lost_since()) is not None:
            search(patient, since, tally)
        side_by_side(targets(), act, tally)
        if hour is not None:
            checking.repair_hour(hour, tally)
        label = hour_from(cutoff - timedelta(microseconds=1))
        _attempt("the manifests", lambda: manifests.write(patient, cutoff), tally)
        _attempt(
            "the snapshot of users and chats",
            lambda: snapshot.write(patient, label, again=hour is None),
            tally,
        )
        _attempt("the audit log's anchor", lambda: anchors.note(patient), tally)
        _attempt("the database's mark", lambda: keep_mark(begun), tally)
        if hour is None:
            _attempt("the bucket", lambda: listing.compare(patient, tally), tally)
    finally:
        writers.close()
    BackupRun.objects.filter(pk=run.pk).update(
        finished_at=Now(), messages=tally.counts["messages"], failed=tally.failed,
        objects_written=tally.counts["objects"], missing=tally.counts.get("missing", 0),
    )  # fmt: skip
    kept = contradicted.named.take()
    shown = {"contradicted": len(kept), "kept_aside": kept[:KEPT_SHOWN]} if kept else {}
    return {"command": "backup", "until": cutoff.isoformat(), **shown, **tally.report()}


def compare_database(tally: Tally) -> None:
    """See, before anything is written, whether the database has gone back; then act on it.

    The sweeper does so every second or two; a run that comes first does it too.
    """
    try:
        if Sweeper().sweep().went_back:
            tally.add(went_back=1)
    except (CacheUnavailable, Unavailable) as error:
        logger.warning("whether the database has gone back is not known: %s", error)


def keep_mark(begun: Mark) -> None:
    """Tell the bucket how far the database is; raises Damaged where it has gone back meanwhile."""
    now = read_state().mark
    if now.identity != begun.identity or now.number < begun.number:
        raise Damaged("the database is another one than when the run began")
    database_mark.keep(now)


def _attempt(what: str, act: Callable[[], object], tally: Tally) -> None:
    """Do one part of a run; where it fails, the others are done all the same."""
    try:
        act()
    except FAILURES as error:
        tally.fail(what, error)


def cutoff_of(hour: int | None, *, now: bool) -> datetime:
    """Return the moment before which messages are taken, by the database's clock alone."""
    clock: datetime = row("SELECT clock_timestamp()", ())[0]
    running = hour_start(hour_from(clock))
    if hour is None:
        return clock if now else running
    end = hour_start(hour + 1)
    if end <= running:
        return end
    if not now or hour_start(hour) > clock:
        raise NotOver
    return clock


def wait_for_commits(cutoff: datetime) -> None:
    """Return once no commit to come can be dated before the cutoff."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while horizon()[0] < to_micros(cutoff) and time.monotonic() < deadline:
        time.sleep(0.2)


def targets() -> Iterator[Target]:
    """Yield the chats that have messages above their watermark, by id."""
    after = UUID(int=0)
    while found := rows(_CHATS, {"after": after, "most": CHATS_AT_ONCE}):
        for id_, number, pending in found:
            yield Target(Chat(id_, number), pending)
        after = found[-1][0]
