"""The copies that users have of one hour of a chat, made into the messages that were sent.

Copies of the same message must agree but for the client_id, which the sender's own copy has. A
damaged copy is passed over while others hold what it held; where two right ones contradict each
other it is said and not guessed. Lines are compared as bytes, since they are a function of the
message, and parsed once. What is held in memory is bounded, however much was sent in the hour.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from heapq import merge
from io import BytesIO
from itertools import chain, groupby, islice
from operator import itemgetter
from tempfile import SpooledTemporaryFile
from typing import IO
from uuid import UUID

from archive.hours import (
    Damaged,
    Facts,
    Packer,
    key_of,
    message_from,
    plain_chunks,
    seq_of,
    split_lines,
)
from archive.store import Missing, Store
from archive.threads import Crew
from messaging.models import Message

AT_ONCE = 8
"""How many copies of a chat are read at once, and how many are merged at once."""
FEW = 4
"""So many copies a chat's own thread reads by itself: handing one over costs a tenth of it."""
SMALL_BYTES = 512 * 1024
"""Plain bytes of a copy that are kept as they are; of a larger one its gzip is, in a file."""
SPOOL_BYTES = 256 * 1024
CHUNK_BYTES = 64 * 1024
PORTION = 1000
_CLIENT_ID = b',"client_id":'
_NULL = b"null}"
_REMOVED = Message.Kind.REMOVED
_NOBODY = UUID(int=0)

Raw = tuple[int, bytes]
"""A seq and its line."""


class Contradiction(Exception):
    """Two copies of a message differ, and both are what their metadata say."""


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

    def lines(self) -> Iterator[Raw]:
        """Yield what it holds, in seq order."""
        plain: Iterable[bytes] = [self.plain]
        if self.packed is not None:
            self.packed.seek(0)
            plain = plain_chunks(iter(partial(self.packed.read, CHUNK_BYTES), b""))
        return ((seq_of(raw), raw) for raw in split_lines(plain))

    def drop(self) -> None:
        """Forget what it holds."""
        if self.packed is not None:
            self.packed.close()
        self.plain, self.packed = b"", None


@dataclass(slots=True)
class Hour:
    """One hour of a chat as its users have it."""

    chat_id: UUID
    hour: int
    copies: list[Copy] = field(default_factory=list)
    """Those that are right. Of the same contents only the first has them still."""
    bad: list[str] = field(default_factory=list)
    """Which objects are not there, or not what they say."""
    half_erased: set[int] = field(default_factory=set)
    """Messages whose text some copies have lost and others not yet: it is to be gone."""

    def lines(self) -> Iterator[Raw]:
        """Yield the hour's messages in seq order; raises Contradiction, Damaged."""
        sources = [copy for copy in self.copies if copy.plain or copy.packed]
        if (lines := _alike([copy.plain for copy in sources])) is not None:
            return lines
        streams = [copy.lines() for copy in sources[:AT_ONCE]]
        for start in range(AT_ONCE, len(sources), AT_ONCE):
            # Each open copy takes memory: those so far are put into one first.
            streams = [self._put_aside(streams)]
            streams += [copy.lines() for copy in sources[start : start + AT_ONCE]]
        return self._merged(streams)

    def drop(self) -> None:
        """Forget what the copies hold."""
        for copy in self.copies:
            copy.drop()

    def _merged(self, streams: list[Iterator[Raw]]) -> Iterator[Raw]:
        if len(streams) == 1:
            return streams[0]
        together = groupby(merge(*streams, key=itemgetter(0)), itemgetter(0))
        return ((seq, self._one(seq, found)) for seq, found in together)

    def _one(self, seq: int, found: Iterable[Raw]) -> bytes:
        """Return the line that all copies of a message make."""
        (_, line), *others = found
        for _, other in others:
            if other != line:
                line = self._agreed(seq, line, other)
        return line

    def _agreed(self, seq: int, line: bytes, other: bytes) -> bytes:
        body, _, client_id = line.rpartition(_CLIENT_ID)
        same, _, its_client_id = other.rpartition(_CLIENT_ID)
        if body == same and _NULL in (client_id, its_client_id):
            return other if client_id == _NULL else line
        one, two = (message_from(raw, self.chat_id) for raw in (line, other))
        if one["kind"] == _REMOVED or two["kind"] == _REMOVED:
            # An erase had not come to all copies yet.
            self.half_erased.add(seq)
            return line if one["kind"] == _REMOVED else other
        if any(one[name] != two[name] for name in ("sender_id", "kind", "text", "sent_at")) or (
            len({one["client_id"], two["client_id"]} - {None}) > 1
        ):
            path = key_of(self.copies[0].user_id, self.hour, self.chat_id)
            raise Contradiction(f"members' copies of {path} have two different messages {seq}")
        return line if one["client_id"] is not None else other

    def _put_aside(self, streams: list[Iterator[Raw]]) -> Iterator[Raw]:
        """Merge some copies into a file, and return its lines."""
        packer = Packer()
        merged = self._merged(streams)
        while some := list(islice(merged, PORTION)):
            packer.add(some)
        packed = packer.finish()
        return Copy(
            _NOBODY, packed.facts, packed.size, "", b"", packed.file or BytesIO(packed.held)
        ).lines()


def read_hours(
    store: Store, chat_id: UUID, hours: Iterable[tuple[int, list[UUID]]], crew: Crew
) -> Iterator[Hour]:
    """Yield a chat's hours with their copies, read ahead by a crew; raises ArchiveUnavailable.

    What an hour's copies hold is forgotten when the next one is asked for.
    """
    wanted = ((Hour(chat_id, hour), users) for hour, users in hours)
    tasks = ((hour, user_id) for hour, users in wanted for user_id in users)
    first = list(islice(tasks, FEW + 1))
    few = len(first) <= FEW

    def begun(hour: Hour, user_id: UUID) -> Callable[[], Copy | str]:
        key = key_of(user_id, hour.hour, chat_id)
        if few:
            return partial(_fetch, store, key, user_id)
        return crew.submit(_fetch, store, key, user_id).result

    ahead = chain(first, tasks)
    under_way: deque[tuple[Hour, Callable[[], Copy | str]]] = deque()
    seen: set[str] = set()
    reading: Hour | None = None
    while True:
        some = islice(ahead, AT_ONCE - len(under_way))
        under_way += [(hour, begun(hour, user_id)) for hour, user_id in some]
        if not under_way:
            break
        hour, copy_of = under_way.popleft()
        if reading is not None and reading is not hour:
            yield reading
            reading.drop()
            seen.clear()
        reading = hour
        copy = copy_of()
        if isinstance(copy, str):
            hour.bad.append(copy)
            continue
        hour.copies.append(copy)
        if copy.facts.sha256 in seen:
            # The same bytes say the same again.
            copy.drop()
        seen.add(copy.facts.sha256)
    if reading is not None:
        yield reading
        reading.drop()


def _alike(plains: list[bytes]) -> Iterator[Raw] | None:
    """Return the lines of copies in memory that have the same ones but for client_ids, else None.

    Most hours are such, and merging them as one that may have gaps takes four times as long.
    """
    if not all(plains) or len({plain.count(b"\n") for plain in plains}) != 1:
        return None
    lines: list[bytes] = []
    for line, *others in zip(*(split_lines([plain]) for plain in plains), strict=True):
        for other in others:
            if other != line:
                ours, theirs = line.rpartition(_CLIENT_ID), other.rpartition(_CLIENT_ID)
                if ours[0] != theirs[0]:
                    return None
                if theirs[2] != _NULL:
                    if ours[2] not in (_NULL, theirs[2]):
                        return None
                    line = other  # noqa: PLW2901
        lines.append(line)
    return ((seq_of(line), line) for line in lines)


def _fetch(store: Store, key: str, user_id: UUID) -> Copy | str:
    try:
        return _copy(store, key, user_id)
    except (Missing, Damaged) as error:
        return f"{key}: {error}"


def _copy(store: Store, key: str, user_id: UUID) -> Copy:
    """Read an object whole and compare its digest; raises Missing, Damaged."""
    found = store.get(key)
    facts = found.facts()
    packed: IO[bytes] = SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 - lives on in Copy
    sha, size = hashlib.sha256(), 0
    plain: list[bytes] = []
    for chunk in plain_chunks(_noted(found.chunks, packed)):
        sha.update(chunk)
        size += len(chunk)
        plain = [*plain, chunk] if size <= SMALL_BYTES else []
    if sha.hexdigest() != facts.sha256:
        raise Damaged("it is not what its metadata say")
    small = size <= SMALL_BYTES
    return Copy(user_id, facts, found.size, found.etag, b"".join(plain), None if small else packed)


def _noted(chunks: Iterable[bytes], file: IO[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        file.write(chunk)
        yield chunk
