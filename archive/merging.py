"""The copies that users have of one hour of a chat, made into the messages that were sent.

Copies of the same message must agree but for the client_id, which the sender's own copy has. A
damaged copy is passed over while others hold what it held; where two right ones contradict each
other it is said and not guessed. Lines are compared as bytes, since they are a function of the
message, and parsed once. What is held in memory is bounded, however much was sent in the hour.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from heapq import merge
from io import BytesIO
from itertools import chain, groupby, islice
from operator import itemgetter
from uuid import UUID

from archive import copies
from archive.copies import Copy, Raw, Trust, fetch_copy, in_order
from archive.hours import Facts, Packer, key_of, message_from, split_lines
from archive.signatures import generation_of
from archive.store import Store
from archive.threads import Crew
from messaging.models import Message

AT_ONCE = 8
"""How many copies of a chat are read at once, and how many are merged at once."""
FEW = 4
"""So many copies a chat's own thread reads by itself: handing one over costs a tenth of it."""
PORTION = 1000
_CLIENT_ID = b',"client_id":'
_NULL = b"null}"
_REMOVED = Message.Kind.REMOVED
_NOBODY = UUID(int=0)
_NO_FACTS = Facts(0, 0, 0, "")


class Contradiction(Exception):
    """Two copies of a message differ, and both are what their metadata say."""


@dataclass(slots=True)
class Hour:
    """One hour of a chat as its users have it."""

    chat_id: UUID
    hour: int
    copies: list[Copy] = field(default_factory=list)
    """Those that are right."""
    bad: list[str] = field(default_factory=list)
    """Which objects are not there, or not what they say."""
    half_erased: set[int] = field(default_factory=set)
    """Messages whose text some copies have lost and others not yet: it is to be gone."""
    _held: list[Copy] = field(default_factory=list)
    """What is still to be merged: no two are the same, and they are few."""
    _seen: set[str] = field(default_factory=set)

    def take(self, copy: Copy) -> None:
        """Take a copy in; raises Contradiction, Damaged.

        However many the readers are: what those so far hold is made one before it gets much.
        """
        self.copies.append(copy)
        if copy.facts.sha256 in self._seen:
            # The same bytes say the same again.
            copy.drop()
            return
        self._seen.add(copy.facts.sha256)
        if len(self._held) == AT_ONCE:
            self._make_one()
        self._held.append(copy)

    def lines(self) -> Iterator[Raw]:
        """Yield the hour's messages in seq order; raises Contradiction, Damaged."""
        if (lines := _alike([copy.plain for copy in self._held])) is not None:
            return lines
        return self._merged([copy.lines() for copy in self._held])

    def drop(self) -> None:
        """Forget what the copies hold."""
        for copy in (*self.copies, *self._held):
            copy.drop()
        self._held = []

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

    def _make_one(self) -> None:
        """Merge what is held, and hold that instead."""
        lines, few, size = self.lines(), list[Raw](), 0
        for line in lines:
            few.append(line)
            size += len(line[1]) + 1
            if size > copies.SMALL_BYTES:
                break
        packer = Packer()
        packer.add(few)
        if size <= copies.SMALL_BYTES:
            plain = b"".join(raw + b"\n" for _, raw in few)
            one = Copy(_NOBODY, _NO_FACTS, size, "", plain)
        else:
            while some := list(islice(lines, PORTION)):
                packer.add(some)
            packed = packer.finish()
            file = packed.file or BytesIO(packed.held)
            one = Copy(_NOBODY, packed.facts, packed.size, "", b"", file)
        for copy in self._held:
            copy.drop()
        self._held = [one]


def read_hours(
    store: Store,
    chat_id: UUID,
    hours: Iterable[tuple[int, list[UUID]]],
    crew: Crew,
    trust: Trust = generation_of,
) -> Iterator[Hour]:
    """Yield a chat's hours with their copies, read ahead by a crew; raises ArchiveUnavailable.

    What an hour's copies hold is forgotten when the next one is asked for.
    """
    wanted = ((Hour(chat_id, hour), users) for hour, users in hours)
    tasks = ((hour, user_id) for hour, users in wanted for user_id in users)
    first = list(islice(tasks, FEW + 1))
    few = len(first) <= FEW

    def begun(hour: Hour, user_id: UUID) -> Callable[[], Copy | str]:
        if few:
            return partial(fetch_copy, store, chat_id, hour.hour, user_id, trust)
        return crew.submit(fetch_copy, store, chat_id, hour.hour, user_id, trust).result

    ahead = chain(first, tasks)
    under_way: deque[tuple[Hour, Callable[[], Copy | str]]] = deque()
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
        reading = hour
        copy = copy_of()
        if isinstance(copy, str):
            hour.bad.append(copy)
        else:
            hour.take(copy)
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
    return in_order(lines)
