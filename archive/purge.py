"""Retention: objects of hours that ended more than Z days ago go, and nothing younger, ever.

An hour is told by its key, never by a listing's dates; the time is the database's. First the index
says that the hour is gone and the chat's start moves, so that no reader asks for it; then the
objects go; then their rows. Killed between, the next run finds the rows and goes on.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Max, Min, Q, Sum
from django.db.models.functions import Now

from archive import contradicted, manifests, snapshot
from archive.export import KEPT, asked_at, parse_export_key
from archive.hours import hour_from, hour_start, key_of, parse_key
from archive.locks import ChatLock, chat_lock
from archive.manifest_notes import gone, note
from archive.models import BackupRun, Export, HourObject, RetentionRun, Segment
from archive.runs import Shower, Silent, Tally, side_by_side
from archive.sql import read_sql
from archive.steps import step
from archive.store import DELETE_AT_ONCE, patient
from archive.trim import forget_sends, settle_start
from common.database import row, rows
from messaging.telling import forget_chat
from messaging.tiers import Chat

_CHATS = read_sql("chats_to_purge.sql")
CHATS_AT_ONCE = 500
COUNTED_AT_ONCE = 100_000
HOUR = timedelta(hours=1)
# What is past retention where it has no end: nothing is older.
FOR_EVER = datetime(1970, 1, 1, tzinfo=UTC)


def purge(
    *, dry_run: bool = False, sweep: bool = False, shower: Shower | None = None
) -> dict[str, Any]:
    """Delete the objects of hours past retention; leave a row that says what was due and went.

    With `sweep`, list the bucket for objects that the index does not know: they are reported, and
    removed only past retention. With ARCHIVE_RETENTION_DAYS=0 nothing ever is.
    """
    shower, tally = shower or Silent(), Tally()
    days = settings.ARCHIVE_RETENTION_DAYS
    before: datetime = FOR_EVER
    if days:
        before = row("SELECT clock_timestamp()", ())[0] - timedelta(days=days)
    number, size, _, _ = _totals(before)
    tally.add(due=number, deleted=0, bytes=0)
    if dry_run:
        tally.add(bytes=size)
        if sweep:
            _sweep(before, tally, dry_run=True)
        return {"command": "purge", "dry_run": True, "before": before.isoformat(), **tally.report()}
    run = RetentionRun.objects.create(days=days, before=before, due=number)
    shower.total(number)

    def act(chat: Chat) -> None:
        with chat_lock(chat.number) as lock:
            shower.advance(purge_chat(chat, before, lock, tally))

    # Nobody waits for it, and what it deletes keeps the database and the disks busy.
    side_by_side(_chats(before), act, tally, threads=max(1, settings.ARCHIVE_THREADS // 3))
    _purge_snapshots(before, tally)
    _purge_kept_aside(before, tally)
    tally.add(manifests=manifests.purge(patient))
    BackupRun.objects.filter(started_at__lt=before).delete()
    if sweep:
        _sweep(before, tally, dry_run=False)
    _, _, kept, oldest = _totals(before)
    tally.add(kept=kept)
    RetentionRun.objects.filter(pk=run.pk).update(
        finished_at=Now(), deleted=tally.counts["deleted"], freed=tally.counts["bytes"],
        kept=kept, oldest=oldest, failed=tally.failed,
    )  # fmt: skip
    shown = {"before": before.isoformat(), "oldest": oldest.isoformat() if oldest else None}
    return {"command": "purge", **shown, **tally.report()}


def _totals(before: datetime) -> tuple[int, int, int, datetime | None]:
    """Return how many objects are due and their bytes, how many there are, and the oldest hour.

    Counted some at a time: there may be more than one statement can count in time.
    """
    due = size = count = 0
    oldest: datetime | None = None
    last = HourObject.objects.aggregate(last=Max("pk"))["last"] or 0
    past = Q(segment__hour__lte=before - HOUR)
    for start in range(0, last, COUNTED_AT_ONCE):
        some = HourObject.objects.filter(pk__gt=start, pk__lte=start + COUNTED_AT_ONCE).aggregate(
            due=Count("pk", filter=past), size=Sum("size", filter=past), count=Count("pk"),
            oldest=Min("segment__hour"),
        )  # fmt: skip
        due, size, count = due + some["due"], size + (some["size"] or 0), count + some["count"]
        oldest = min(filter(None, (oldest, some["oldest"])), default=None)
    return due, size, count, oldest


def _chats(before: datetime) -> Iterator[Chat]:
    after = UUID(int=0)
    while found := rows(_CHATS, {"before": before, "after": after, "most": CHATS_AT_ONCE}):
        yield from (Chat(id_, number) for id_, number in found)
        after = found[-1][0]


def purge_chat(chat: Chat, before: datetime, lock: ChatLock, tally: Tally) -> int:
    """Purge a chat's hours that ended by a moment; return how many objects went."""
    segments = Segment.objects.filter(chat=chat.id, hour__lte=before - HOUR)
    step("purge.before")
    with transaction.atomic():
        lock.check()
        segments.filter(purged_at=None).update(purged_at=Now())
        moved = settle_start(chat.id)
        step("purge.inside")
    step("purge.hidden")
    if moved:
        forget_chat(chat.number)
    # Before the objects' rows go: while there are some, a run that dies here is gone on with.
    forget_sends(chat.id)
    due = HourObject.objects.filter(segment__chat=chat.id, segment__hour__lte=before - HOUR)
    deleted = 0
    while some := list(due.select_related("segment").order_by("pk")[:DELETE_AT_ONCE]):
        tally.go_on()
        lock.check()
        patient.delete(key_of(one.user_id, hour_from(one.segment.hour), chat.id) for one in some)
        step("purge.deleted")
        with transaction.atomic():
            note(gone(some))
            HourObject.objects.filter(pk__in=[one.pk for one in some]).delete()
        step("purge.rows")
        deleted += len(some)
        tally.add(deleted=len(some), bytes=sum(one.size for one in some))
    settle_start(chat.id)
    return deleted


def _purge_kept_aside(before: datetime, tally: Tally) -> None:
    """Delete what contradicted the log and was kept aside, of hours past retention."""
    past = (one for one in contradicted.kept_aside(patient) if hour_start(one.hour + 1) <= before)
    if count := contradicted.drop(patient, past):
        tally.add(contradicted_deleted=count)


def _purge_snapshots(before: datetime, tally: Tally) -> None:
    """Delete the snapshots of hours past retention, but for the newest one."""
    newest = snapshot.newest(patient)
    if newest is None:
        return
    limit = min(hour_from(before - HOUR), newest - 1)
    old: Iterator[str] = (
        key
        for key, _ in patient.keys(snapshot.PREFIX)
        if (hour := snapshot.hour_of_key(key)) is not None and hour <= limit
    )
    while some := list(islice(old, DELETE_AT_ONCE)):
        patient.delete(some)
        tally.add(snapshot_objects=len(some))


def _sweep(before: datetime, tally: Tally, *, dry_run: bool) -> None:
    """Find objects that the index does not know, and remove those past retention."""
    tally.add(stray=0, stray_removed=0, foreign=0, stray_exports=0, stray_exports_removed=0)
    keys = (
        key
        for key, _ in patient.keys("")
        if not key.startswith(snapshot.PREFIX) and not contradicted.is_kept(key)
    )
    while some := list(islice(keys, DELETE_AT_ONCE)):
        _sweep_exports([key for key in some if parse_export_key(key)], tally, dry_run=dry_run)
        named = {key: parse_key(key) for key in some if not parse_export_key(key)}
        tally.add(foreign=sum(parsed is None for parsed in named.values()))
        parsed = {key: name for key, name in named.items() if name is not None}
        known = set(
            HourObject.objects.filter(
                segment__chat__in={chat for _, _, chat in parsed.values()},
                segment__hour__in={hour_start(hour) for _, hour, _ in parsed.values()},
                user__in={user for user, _, _ in parsed.values()},
            ).values_list("user", "segment__hour", "segment__chat")
        )
        strays = [
            (key, hour)
            for key, (user, hour, chat) in parsed.items()
            if (user, hour_start(hour), chat) not in known
        ]
        tally.add(stray=len(strays))
        past = [key for key, hour in strays if hour_start(hour + 1) <= before]
        if past and not dry_run:
            patient.delete(past)
            tally.add(stray_removed=len(past))


def _sweep_exports(keys: list[str], tally: Tally, *, dry_run: bool) -> None:
    """Find exports of which there is no row, as of a database that was lost; a day old, they go."""
    named = {
        export_id: key for key in keys for _, export_id in filter(None, [parse_export_key(key)])
    }
    known = set(Export.objects.filter(pk__in=named).values_list("pk", flat=True))
    strays = {export_id: key for export_id, key in named.items() if export_id not in known}
    now: datetime = row("SELECT clock_timestamp()", ())[0]
    past = [
        key
        for export_id, key in strays.items()
        if asked_at(export_id) < (now - KEPT).timestamp() * 1000
    ]
    tally.add(stray_exports=len(strays))
    if past and not dry_run:
        patient.delete(past)
        tally.add(stray_exports_removed=len(past))
