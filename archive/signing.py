"""Signing anew what is in the bucket: from before there was a key, or with one that is to go.

By copy within the bucket, so that no bytes travel; of an object that nothing vouches for yet they
are read first and compared with what the index knows. Some each hour, from where the run before
came to.
"""

from django.db import transaction
from django.db.models.functions import Now

from accounts import factors
from archive import keys, wishes
from archive.checking import load, part_of, problem_of
from archive.hours import Damaged, Facts
from archive.locks import ChatLock, chat_lock
from archive.manifest_notes import Change, note
from archive.models import ArchiveKey, ErasedUser, HourObject
from archive.parts import Part, Ranges
from archive.runs import FAILURES, Tally
from archive.signatures import BEFORE, FIRST, Unsigned, generation_of, signed_metadata
from archive.store import Changed, Missing, patient
from common import archive_key

PORTION = 1000
OBJECTS_A_RUN = 50_000


def sign_some(tally: Tally, *, most: int | None = OBJECTS_A_RUN) -> None:
    """Have the next objects bear the current key's signature; all of them where `most` is None."""
    key = keys.current()
    if key.all_signed_at is not None:
        return
    failed, seen = tally.failed, 0
    while most is None or seen < most:
        tally.go_on()
        some = list(
            HourObject.objects.filter(pk__gt=key.signed_to)
            .order_by("pk")
            .values_list("pk", "segment")[:PORTION]
        )
        if not some:
            _finish(key, tally, all_well=tally.failed == failed)
            return
        for segment_id in dict.fromkeys(segment for _, segment in some):
            _sign_segment(segment_id, {pk for pk, segment in some if segment == segment_id}, tally)
        seen += len(some)
        key.signed_to = some[-1][0]
        key.save(update_fields=["signed_to"])


def _finish(key: ArchiveKey, tally: Tally, *, all_well: bool) -> None:
    """Sign the wishes too; note that nothing needs an older key, or begin again where one does."""
    for user_id, texts in ErasedUser.objects.values_list("pk", "texts"):
        wishes.note_user(patient, user_id, texts=texts)
    factors.encrypt_secrets()
    if all_well:
        ArchiveKey.objects.filter(pk=key.pk).update(all_signed_at=Now())
        tally.add(all_signed=1)
    else:
        ArchiveKey.objects.filter(pk=key.pk).update(signed_to=0)


def _sign_segment(segment_id: int, chosen: set[int], tally: Tally) -> None:
    segment = load(segment_id)
    if segment is None:
        return
    try:
        with chat_lock(segment.chat.number) as lock:
            segment = load(segment_id)
            if segment is None:
                return
            part = part_of(segment, patient)
            readers = part.readers()
            rows = HourObject.objects.filter(segment=segment_id, pk__in=chosen).order_by("pk")
            for row in rows:
                try:
                    _sign(part, row, readers.get(row.user_id, ()), lock, tally)
                except (Missing, Changed, Damaged) as error:
                    tally.fail(part.key(row.user_id), error)
    except FAILURES as error:
        tally.fail(f"chat {segment.chat_id if segment else ''}", error)


def _sign(part: Part, row: HourObject, ranges: Ranges, lock: ChatLock, tally: Tally) -> None:
    """Sign one object, if it needs it; raises Missing, Damaged, ArchiveUnavailable."""
    key = part.key(row.user_id)
    metadata, etag = patient.head(key)
    signed = bool(metadata.get("signature"))
    if signed:
        generation = generation_of(key, metadata)
        if generation < row.generation:
            raise Unsigned("it is an older one")
        is_current = archive_key.key_id_of(metadata["signature"]) == archive_key.current_id()
        if is_current and row.generation != BEFORE:
            return
    elif row.generation != BEFORE:
        raise Unsigned("it is not signed")
    else:
        generation = FIRST
    if row.generation == BEFORE and (reason := problem_of(part, row.user_id, ranges)):
        raise Damaged(reason)
    again = signed_metadata(key, Facts.read(metadata), generation)
    etag = patient.change_metadata(key, again, etag)
    with transaction.atomic():
        lock.check()
        HourObject.objects.filter(pk=row.pk).update(etag=etag, generation=generation)
        sha256 = bytes(row.sha256).hex()
        place = (row.user_id, part.hour, part.chat.id)
        note([Change(*place, row.generation, sha256, generation, sha256)])
    tally.add(signed=1)
