"""The manifests: which writing of each object is the current one, signed, for who has the bucket.

    _system/manifests/{shard}/{number}          what a run changed
    _system/manifests/{shard}/{number}-base     all that those up to this number say, once a day

Numbers have no gaps within a shard. What a manifest says is settled in the database before it is
written, so a run that dies leaves one that the next writes, with the same bytes.
"""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from archive import signed_objects
from archive.hours import hour_from, hour_path, hour_start, key_of
from archive.locks import held
from archive.long_connection import opened
from archive.manifest_notes import GONE, MODULUS, SHARDS, as_bytes, shard_of, summand
from archive.models import ErasedUser, ManifestHour, ManifestNote, ManifestShard
from archive.steps import step
from archive.store import DELETE_AT_ONCE, Store
from archive.threads import Crew
from common.database import rows
from common.times import rfc3339

logger = logging.getLogger(__name__)
PREFIX = "_system/manifests/"
BASE = "-base"
VERSION = 1
BASE_EVERY = timedelta(days=1)
BASES_KEPT = 8
"""Manifests are kept back to the eighth base from the end: a restore reads one, and may need more
where some are lost."""
_LOCK = 0x5355 << 40
_PATIENCE_SECONDS = 600.0
_PORTION = 10_000
_ASSIGN = """
WITH assigned AS (
  UPDATE archive_manifestshard SET number = number + 1, until = %(until)s, written = false
  RETURNING shard, number
), noted AS (
  UPDATE archive_manifestnote n SET number = a.number
    FROM assigned a WHERE n.shard = a.shard AND n.number IS NULL
)
SELECT count(*) FROM assigned
"""
_FIRST_WRITINGS = """
SELECT o.user_id, s.hour, s.chat_id, o.sha256
  FROM archive_hourobject o JOIN archive_segment s ON s.id = o.segment_id
 WHERE o.generation = 1
"""
_LATER_WRITINGS = """
SELECT o.user_id, s.hour, s.chat_id, o.generation, o.sha256
  FROM archive_hourobject o JOIN archive_segment s ON s.id = o.segment_id
 WHERE o.generation > 1 AND get_byte(uuid_send(s.chat_id), 15) %% 16 = %s
"""
_UNTOLD = "SELECT shard, hour, count, digest FROM archive_manifestnote"


def folder(shard: int) -> str:
    """Return the prefix of a shard's manifests."""
    return f"{PREFIX}{shard:x}/"


def key_of_manifest(shard: int, number: int, *, base: bool = False) -> str:
    """Return where a manifest lies."""
    return f"{folder(shard)}{number:010}{BASE if base else ''}"


def number_of(key: str) -> tuple[int, bool] | None:
    """Return a manifest's number, and whether it is a base; None for what is no manifest's key."""
    name = key.rpartition("/")[2]
    digits = name.removesuffix(BASE)
    return (int(digits), name.endswith(BASE)) if digits.isdecimal() else None


def newest(store: Store, shard: int, *, after: int = 0) -> int:
    """Return the number of the newest manifest that the bucket has of a shard; 0 for none."""
    keys = store.keys(folder(shard), after=key_of_manifest(shard, after) if after else "")
    found = [number_of(key) for key, _ in keys]
    return max((one[0] for one in found if one is not None), default=after)


def write(store: Store, until: datetime) -> None:
    """Leave a manifest of each shard, and where one is due a base; one run at a time."""
    with (
        held(_LOCK, patience=_PATIENCE_SECONDS),
        Crew(settings.ARCHIVE_THREADS, "manifests") as crew,
    ):
        _follow_the_bucket(store)
        # Those of a run that died first, so that no number is left out.
        _write_settled(store, crew)
        with transaction.atomic():
            rows(_ASSIGN, {"until": until})
            step("manifest.assigned")
        _write_settled(store, crew)
        _write_bases(store, crew, until)


def _follow_the_bucket(store: Store) -> None:
    """Have each shard's number be at least the bucket's: a restored database is behind it."""
    known = ManifestShard.objects.in_bulk()
    for shard in range(SHARDS):
        number = known[shard].number if shard in known else 0
        there = newest(store, shard, after=number)
        if shard not in known:
            ManifestShard.objects.create(shard=shard, number=there)
        elif there > number:
            logger.warning(
                "shard %x: the bucket has manifest %d, this database %d", shard, there, number
            )
            with transaction.atomic():
                # What was settled but perhaps not written gets a number of its own again.
                ManifestNote.objects.filter(shard=shard).update(number=None)
                ManifestShard.objects.filter(shard=shard).update(
                    number=there, written=True, rebuild=True
                )


def _write_settled(store: Store, crew: Crew) -> None:
    """Write the manifests whose contents are settled, and take what they say into the totals."""
    shards = list(ManifestShard.objects.filter(written=False).order_by("shard"))
    for done in [crew.submit(_write_one, store, shard) for shard in shards]:
        done.result()
    step("manifest.put")
    with transaction.atomic():
        for shard in shards:
            _take_into_totals(shard)
        ManifestShard.objects.filter(shard__in=[one.shard for one in shards]).update(written=True)
        step("manifest.inside")
    step("manifest.after")


def _write_one(store: Store, shard: ManifestShard) -> None:
    key = key_of_manifest(shard.shard, shard.number)
    signed_objects.put(store, key, signed_objects.packed_lines(_lines(shard)))


def _notes(shard: ManifestShard) -> Iterator[ManifestNote]:
    notes = ManifestNote.objects.filter(shard=shard.shard, number=shard.number)
    return notes.order_by("pk").iterator(chunk_size=_PORTION)


def _head(shard: ManifestShard) -> dict[str, Any]:
    return {
        "version": VERSION,
        "shard": f"{shard.shard:x}",
        "number": shard.number,
        "until": rfc3339(shard.until) if shard.until else None,
    }


def _lines(shard: ManifestShard) -> Iterator[dict[str, Any]]:
    """Yield what a manifest says: of each hour by how much it grew, and what is named in full."""
    yield _head(shard)
    totals: dict[int, tuple[int, int]] = {}
    named: dict[str, tuple[int, str]] = {}
    for note in _notes(shard):
        _add(totals, hour_from(note.hour), note.count, note.digest)
        # In the order in which it was recorded: the last word on a key holds.
        named |= {key: (generation, sha256) for key, generation, sha256 in note.named}
    yield from _hour_lines(totals)
    for key, (generation, sha256) in sorted(named.items()):
        yield {"key": key, "generation": generation, "sha256": sha256}


def _hour_lines(totals: dict[int, tuple[int, int]]) -> Iterator[dict[str, Any]]:
    for hour, (count, digest) in sorted(totals.items()):
        if count or digest:
            yield {"hour": hour_path(hour), "count": count, "digest": as_bytes(digest).hex()}


def _add(
    totals: dict[int, tuple[int, int]], hour: int, count: int, digest: bytes | memoryview
) -> None:
    before = totals.get(hour, (0, 0))
    totals[hour] = (before[0] + count, (before[1] + int.from_bytes(digest, "big")) % MODULUS)


def _take_into_totals(shard: ManifestShard) -> None:
    more: dict[int, tuple[int, int]] = {}
    for note in _notes(shard):
        _add(more, hour_from(note.hour), note.count, note.digest)
    there = ManifestHour.objects.filter(
        shard=shard.shard, hour__in=[hour_start(one) for one in more]
    )
    for total in there:
        _add(more, hour_from(total.hour), total.count, total.digest)
    there.delete()
    _keep_totals(shard.shard, more)
    ManifestNote.objects.filter(shard=shard.shard, number=shard.number).delete()


def _keep_totals(shard: int, totals: dict[int, tuple[int, int]]) -> None:
    ManifestHour.objects.bulk_create(
        [
            ManifestHour(shard=shard, hour=hour_start(hour), count=count, digest=as_bytes(digest))
            for hour, (count, digest) in totals.items()
            if count or digest
        ],
        batch_size=1000,
    )


def _write_bases(store: Store, crew: Crew, until: datetime) -> None:
    """Write the bases that are due; of a shard whose totals are not to be trusted count first."""
    if ManifestShard.objects.filter(rebuild=True).exists():
        _count_anew()
    due = Q(base_at=None) | Q(base_at__lte=until - BASE_EVERY) | Q(base_at__gt=until)
    shards = list(ManifestShard.objects.filter(due | Q(rebuild=True)).order_by("shard"))
    for done in [crew.submit(_write_base, store, shard) for shard in shards]:
        done.result()
    step("manifest.base")
    ManifestShard.objects.filter(shard__in=[one.shard for one in shards]).update(
        base_at=until, rebuild=False
    )


def _write_base(store: Store, shard: ManifestShard) -> None:
    key = key_of_manifest(shard.shard, shard.number, base=True)
    signed_objects.put(store, key, signed_objects.packed_lines(_base_lines(shard)))


def _base_lines(shard: ManifestShard) -> Iterator[dict[str, Any]]:
    yield _head(shard) | {"base": True}
    totals: dict[int, tuple[int, int]] = {}
    for total in ManifestHour.objects.filter(shard=shard.shard).iterator(chunk_size=_PORTION):
        _add(totals, hour_from(total.hour), total.count, total.digest)
    yield from _hour_lines(totals)
    for user_id in ErasedUser.objects.values_list("pk", flat=True).order_by("pk").iterator():
        yield {"key": f"{user_id}/", "generation": GONE, "sha256": ""}
    with opened() as server, server.transaction(), server.cursor(name="later") as cursor:
        cursor.itersize = _PORTION
        cursor.execute(_LATER_WRITINGS, (shard.shard,))
        for user_id, hour, chat_id, generation, sha256 in cursor:
            key = key_of(user_id, hour_from(hour), chat_id)
            yield {"key": key, "generation": generation, "sha256": bytes(sha256).hex()}


def _count_anew() -> None:
    """Make the totals anew of the index, without what is noted and in no manifest yet."""
    totals: dict[int, dict[int, tuple[int, int]]] = {shard: {} for shard in range(SHARDS)}
    with opened() as server, server.transaction():
        # One view of both, so that an object is in the index and its note is there, or neither.
        server.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        with server.cursor(name="first") as cursor:
            cursor.itersize = _PORTION
            cursor.execute(_FIRST_WRITINGS)
            for user_id, start, chat_id, sha256 in cursor:
                hour = hour_from(start)
                one = summand(key_of(user_id, hour, chat_id), bytes(sha256).hex())
                _add(totals[shard_of(chat_id)], hour, 1, as_bytes(one))
        for shard, hour, count, digest in server.execute(_UNTOLD):
            less = as_bytes(-int.from_bytes(digest, "big"))
            _add(totals[shard], hour_from(hour), -count, less)
    with transaction.atomic():
        ManifestHour.objects.all().delete()
        for shard, found in totals.items():
            _keep_totals(shard, found)


def numbers() -> dict[str, int]:
    """Return the number of each shard's newest manifest that is in the bucket."""
    written = ManifestShard.objects.filter(written=True, number__gt=0).values_list(
        "shard", "number"
    )
    return {f"{shard:x}": number for shard, number in written}


def rebuild() -> None:
    """Have the next run count the index anew, as after a restore into it."""
    ManifestShard.objects.update(rebuild=True)


def purge(store: Store) -> int:
    """Delete manifests from before the eighth base from the end; return how many went."""
    deleted = 0
    for shard in range(SHARDS):
        keys = [key for key, _ in store.keys(folder(shard))]
        bases = sorted(one[0] for one in map(number_of, keys) if one is not None and one[1])
        if len(bases) <= BASES_KEPT:
            continue
        first = bases[-BASES_KEPT]
        old = [key for key in keys if (one := number_of(key)) is not None and one[0] < first]
        for start in range(0, len(old), DELETE_AT_ONCE):
            store.delete(old[start : start + DELETE_AT_ONCE])
        deleted += len(old)
    return deleted
