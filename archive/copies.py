"""What users have of one hour of a chat, as it is read from the bucket.

An object is what was written when its digest is right, and it begins as its key and its metadata
say: one that lies in another's place is not taken for what belongs there.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO
from uuid import UUID

from archive.hours import (
    Damaged,
    Facts,
    hour_start,
    key_of,
    parse_line,
    plain_chunks,
    seq_of,
    split_lines,
)
from archive.parts import Ranges, size_of
from archive.signatures import generation_of
from archive.store import Found, Missing, Store

SMALL_BYTES = 512 * 1024
"""Plain bytes that are kept as they are; of a larger copy its gzip is, in a file."""
SPOOL_BYTES = 256 * 1024
CHUNK_BYTES = 64 * 1024
BEGINNING_BYTES = 64 * 1024
"""More than any line has."""

_NULL = b',"client_id":null}'
_SENT_BY = 160
"""Where the sender is in a line."""

Raw = tuple[int, bytes]
"""A seq and its line."""


@dataclass(slots=True)
class Copy:
    """One user's object, as it was read: its digest is right."""

    user_id: UUID
    facts: Facts
    size: int
    etag: str
    plain: bytes
    """What it holds, where that is little."""
    packed: IO[bytes] | None = None
    """Else the object itself."""
    astray: bool = False
    """Whether it shows another sender's client_id: its messages are right, its place is not."""
    generation: int = 0

    def lines(self) -> Iterator[Raw]:
        """Yield what it holds, in seq order; raises Damaged where it is in another."""
        plain: Iterable[bytes] = [self.plain]
        if self.packed is not None:
            self.packed.seek(0)
            plain = plain_chunks(iter(partial(self.packed.read, CHUNK_BYTES), b""))
        return in_order(split_lines(plain))

    def holds(self, ranges: Ranges) -> bool:
        """Say whether it is its user's, who could see these seqs."""
        facts = self.facts
        return not self.astray and bool(ranges) and (facts.first, facts.last, facts.count) == (
            ranges[0][0], ranges[-1][1], size_of(ranges)
        )  # fmt: skip

    def drop(self) -> None:
        """Forget what it holds."""
        if self.packed is not None:
            self.packed.close()
        self.plain, self.packed = b"", None


Trust = Callable[[str, dict[str, str]], int]
"""Returns the generation of an object at a key by its metadata; raises Unsigned for one that is not
to be taken."""


def fetch_copy(
    store: Store, chat_id: UUID, hour: int, user_id: UUID, trust: Trust = generation_of
) -> Copy | str:
    """Return a user's copy of an hour, or what is wrong with it; raises ArchiveUnavailable."""
    key = key_of(user_id, hour, chat_id)

    def take(found: Found) -> Copy:
        copy = _copy(found, chat_id, hour, user_id)
        # Last, since what is taken is counted.
        copy.generation = trust(key, found.metadata)
        return copy

    try:
        return store.read(key, take)
    except (Missing, Damaged) as error:
        return f"{key}: {error}"


def _copy(found: Found, chat_id: UUID, hour: int, user_id: UUID) -> Copy:
    """Read an object whole and compare it with what it says of itself, and with its key.

    Raises Damaged, also for one of another chat or hour, and ArchiveUnavailable.
    """
    facts = found.facts()
    packed: IO[bytes] = SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 - lives on in Copy
    sha, size, count, begins = hashlib.sha256(), 0, 0, b""
    plain: list[bytes] = []
    for chunk in plain_chunks(_noted(found.chunks, packed)):
        sha.update(chunk)
        if len(begins) < BEGINNING_BYTES:
            begins += chunk[: BEGINNING_BYTES - len(begins)]
        size += len(chunk)
        count += chunk.count(b"\n")
        plain = [*plain, chunk] if size <= SMALL_BYTES else []
    if sha.hexdigest() != facts.sha256 or count != facts.count:
        raise Damaged("it is not what its metadata say")
    if count:
        first = parse_line(begins.partition(b"\n")[0], str(chat_id), facts.first)
        if not first["sent_at"].startswith(f"{hour_start(hour):%Y-%m-%dT%H:}"):
            raise Damaged("it is another hour's")
    content = b"".join(plain)
    sender = str(user_id).encode()
    owned = [raw for raw in content.split(b"\n") if not raw.endswith(_NULL) and raw]
    astray = any(raw.find(sender, 0, _SENT_BY) < 0 for raw in owned)
    packed_too = None if size <= SMALL_BYTES else packed
    return Copy(user_id, facts, found.size, found.etag, content, packed_too, astray)


def _noted(chunks: Iterable[bytes], file: IO[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        file.write(chunk)
        yield chunk


def in_order(lines: Iterable[bytes]) -> Iterator[Raw]:
    """Yield lines with their seqs, each larger than the one before; raises Damaged."""
    before = 0
    for raw in lines:
        seq = seq_of(raw)
        if seq <= before:
            raise Damaged("its messages are not in order")
        before = seq
        yield seq, raw
