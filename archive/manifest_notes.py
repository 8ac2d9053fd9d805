"""What the next manifests are to say, noted in the transaction that records it in the index.

A manifest tells a restore which writing of each object is the current one. Of objects that were
written once, so that nobody needs to be told, it has per hour a count and one digest: the sum,
modulo 2**256, of a hash of each key and its contents. What leaves that state is taken off again,
and named in full.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

from archive.hours import hour_from, hour_start, key_of
from archive.models import HourObject, ManifestNote
from archive.signatures import FIRST

SHARDS = 16
MODULUS = 2**256
DIGEST_BYTES = 32
GONE = 0
"""The generation of an object that is there no more."""


def shard_of(chat_id: UUID) -> int:
    """Return a chat's part of the manifests: by the last hexadecimal digit of its id."""
    return chat_id.int % SHARDS


def summand(key: str, sha256: str) -> int:
    """Return what an object adds to its hour's digest."""
    return int.from_bytes(hashlib.sha256(f"{key}\n{sha256}".encode()).digest(), "big")


def as_bytes(number: int) -> bytes:
    """Return a digest as the database keeps it."""
    return (number % MODULUS).to_bytes(DIGEST_BYTES, "big")


@dataclass(frozen=True, slots=True)
class Change:
    """An object before and after it was written: generation 0 where there was or is none."""

    user_id: UUID
    hour: int
    chat_id: UUID
    old_generation: int
    old_sha256: str
    generation: int
    sha256: str

    @property
    def key(self) -> str:
        """Return its key."""
        return key_of(self.user_id, self.hour, self.chat_id)


def note(changes: Iterable[Change]) -> None:
    """Note what was written or went; needs the transaction that records it."""
    ManifestNote.objects.bulk_create(notes(changes), batch_size=1000)


def notes(changes: Iterable[Change]) -> Iterator[ManifestNote]:
    """Yield what is to be noted of changes, an hour of a chat in each; none where nothing is."""
    place = attrgetter("chat_id", "hour")
    ordered = sorted(changes, key=place)
    for (chat_id, hour), some in groupby(ordered, place):
        count = digest = 0
        named: list[list[Any]] = []
        for one in some:
            if (one.old_generation, one.old_sha256) == (one.generation, one.sha256):
                # The very same once more, as a repair writes it.
                continue
            if one.old_generation == FIRST:
                count, digest = count - 1, digest - summand(one.key, one.old_sha256)
            if one.generation == FIRST:
                count, digest = count + 1, digest + summand(one.key, one.sha256)
            elif one.old_generation > FIRST or one.generation > FIRST:
                named.append([one.key, one.generation, one.sha256])
        if count or digest or named:
            yield ManifestNote(
                shard=shard_of(chat_id), hour=hour_start(hour), count=count,
                digest=as_bytes(digest), named=named,
            )  # fmt: skip


def gone(objects: Iterable[HourObject]) -> Iterator[Change]:
    """Yield that objects, given with their segments, are gone."""
    for one in objects:
        yield Change(
            one.user_id, hour_from(one.segment.hour), one.segment.chat_id,
            one.generation, bytes(one.sha256).hex(), GONE, "",
        )  # fmt: skip


def note_user(user_id: UUID) -> None:
    """Note in each shard that nothing below a user's prefix is to be taken any more."""
    ManifestNote.objects.bulk_create(
        ManifestNote(
            shard=shard, hour=hour_start(0), count=0, digest=as_bytes(0),
            named=[[f"{user_id}/", GONE, ""]],
        )
        for shard in range(SHARDS)
    )  # fmt: skip
