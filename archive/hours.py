"""Hour objects: where each lies, and its bytes, which are a function of messages and user alone.

Times are hours since 1970, UTC. An object is gzip over lines, one message each, in seq order and in
the form in which the API shows it to that user.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from tempfile import NamedTemporaryFile
from typing import IO, Any
from uuid import UUID

import orjson

from common.ids import parse_id
from common.times import RFC3339
from messaging.models import Message
from messaging.wire import EPOCH, NO_CLIENT_ID, Line, make_line, to_micros

MICROS_PER_HOUR = 3_600_000_000
IN_MEMORY_BYTES = 1024 * 1024
"""A larger object is put together in a file."""
INFLATED_BYTES = 128 * 1024
"""How much of an object is inflated at once."""
LINE_MOST_BYTES = 16 * 1024 * 1024
"""Far above the longest message: what has no line's end is not taken into memory whole."""
LEVEL = 6
# Written by hand, since libraries differ in the last two bytes (no extra flags, unknown system).
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_SEQ_AT = len('{"chat_id":"00000000-0000-0000-0000-000000000000","seq":')
_KEY_PARTS = 5
_CLIENT_ID = b',"client_id":'
_KINDS = frozenset(Message.Kind.values)
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_SENT_AT = re.compile(r"[0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2}\.[0-9]{6}Z").fullmatch


class Damaged(Exception):
    """An object is not what was written: its bytes, its lines or what it says of itself."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What an object says of its contents, in its metadata."""

    first: int
    last: int
    count: int
    sha256: str

    def metadata(self) -> dict[str, str]:
        """Return the metadata that S3 keeps."""
        return {
            "first-seq": str(self.first),
            "last-seq": str(self.last),
            "count": str(self.count),
            "sha256": self.sha256,
        }

    @classmethod
    def read(cls, metadata: dict[str, str]) -> "Facts":
        """Return what metadata say; raises Damaged when they don't."""
        try:
            return cls(
                int(metadata["first-seq"]),
                int(metadata["last-seq"]),
                int(metadata["count"]),
                metadata["sha256"],
            )
        except (KeyError, ValueError) as error:
            raise Damaged("its metadata are not those of an hour object") from error


def hour_of(at: int) -> int:
    """Return the hour of a time in microseconds."""
    return at // MICROS_PER_HOUR


def hour_start(hour: int) -> datetime:
    """Return the moment at which an hour begins."""
    return EPOCH + timedelta(hours=hour)


def hour_from(moment: datetime) -> int:
    """Return the hour that a moment lies in."""
    return hour_of(to_micros(moment))


def hour_path(hour: int) -> str:
    """Return `year/day of the year/hour` as keys have it."""
    moment = hour_start(hour)
    return f"{moment.year:04}/{moment.timetuple().tm_yday:03}/{moment.hour:02}"


def key_of(user_id: UUID, hour: int, chat_id: UUID) -> str:
    """Return the key of a user's object."""
    return f"{user_id}/{hour_path(hour)}/{chat_id}"


def parse_key(key: str) -> tuple[UUID, int, UUID] | None:
    """Return the user, hour and chat that a key names; None for what is no hour object's key."""
    parts = key.split("/")
    if len(parts) != _KEY_PARTS:
        return None
    user_id, chat_id = parse_id(parts[0]), parse_id(parts[4])
    if user_id is None or chat_id is None:
        return None
    try:
        day = datetime.strptime(f"{parts[1]}/{parts[2]}", "%Y/%j").replace(tzinfo=UTC)
        hour = hour_from(day + timedelta(hours=int(parts[3])))
    except ValueError:
        return None
    return (user_id, hour, chat_id) if key == key_of(user_id, hour, chat_id) else None


@dataclass(slots=True)
class Packed:
    """A whole object, ready to be written any number of times."""

    facts: Facts
    size: int
    held: bytes
    file: Any = None

    def body(self) -> bytes | IO[bytes]:
        """Return the bytes, or a file of its own to read them from."""
        return self.held if self.file is None else open(self.file.name, "rb")  # noqa: PTH123


class Packer:
    """Puts an object together line by line; what it holds in memory is bounded."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()
        self._crc = self._plain = self._count = self._first = self._last = 0
        self._deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._held = BytesIO(_GZIP_HEADER)
        self._held.seek(len(_GZIP_HEADER))
        self._file: Any = None

    def add(self, raw: Iterable[tuple[int, bytes]]) -> None:
        """Add messages as (seq, JSON), in seq order."""
        seqs, lines = [], []
        for seq, line in raw:
            seqs.append(seq)
            lines.append(line)
        if not seqs:
            return
        self._first = self._first or seqs[0]
        self._last = seqs[-1]
        self._count += len(seqs)
        lines.append(b"")
        data = b"\n".join(lines)
        self._sha.update(data)
        self._crc = zlib.crc32(data, self._crc)
        self._plain += len(data)
        self._write(self._deflate.compress(data))

    def finish(self) -> Packed:
        """Return the object."""
        self._write(self._deflate.flush())
        self._write(struct.pack("<LL", self._crc, self._plain & 0xFFFFFFFF))
        facts = Facts(self._first, self._last, self._count, self._sha.hexdigest())
        if self._file is None:
            held = self._held.getvalue()
            return Packed(facts, len(held), held)
        self._file.flush()
        return Packed(facts, self._file.tell(), b"", self._file)

    def _write(self, data: bytes) -> None:
        if self._file is not None:
            self._file.write(data)
            return
        self._held.write(data)
        if self._held.tell() > IN_MEMORY_BYTES:
            self._file = NamedTemporaryFile(prefix="strata-hour-")  # noqa: SIM115 - lives on in Packed
            self._file.write(self._held.getvalue())
            self._held = BytesIO()


def plain_chunks(packed: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the plain bytes of a gzip stream; raises Damaged when it is none or not whole."""
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        for chunk in packed:
            if inflate.eof:
                raise Damaged("something follows its end")
            while chunk:
                yield inflate.decompress(chunk, INFLATED_BYTES)
                chunk = inflate.unconsumed_tail  # noqa: PLW2901
            if inflate.unused_data:
                raise Damaged("something follows its end")
        rest = inflate.flush()
    except zlib.error as error:
        raise Damaged("it is not gzip, or not whole") from error
    if not inflate.eof:
        raise Damaged("it is cut short")
    if rest:
        yield rest


def split_lines(plain: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of plain bytes, without their ends; raises Damaged for what are no lines."""
    rest = b""
    for chunk in plain:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > LINE_MOST_BYTES:
            raise Damaged("a line is longer than any message")
    if rest:
        raise Damaged("its last line has no end")


def seq_of(raw: bytes) -> int:
    """Return the seq of a line without parsing it whole; raises Damaged."""
    try:
        return int(raw[_SEQ_AT : raw.index(b",", _SEQ_AT)])
    except ValueError as error:
        raise Damaged("a line is no message") from error


def parse_line(raw: bytes, chat_id: str, seq: int) -> dict[str, Any]:
    """Return the message that a line holds; raises Damaged unless it is that one.

    Checks as much as `message_from` in a third of its time; for restore, which reads all there is.
    """
    try:
        message: dict[str, Any] = orjson.loads(raw)
        if (
            message["chat_id"] == chat_id
            and message["seq"] == seq
            and _ID(message["sender_id"])
            and message["kind"] in _KINDS
            and type(message["text"]) is str
            and _SENT_AT(message["sent_at"])
            and isinstance(message["client_id"], str | None)
        ):
            return message
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged("a line is no message") from error
    raise Damaged(f"a line is not message {seq}")


def message_from(raw: bytes, chat_id: UUID) -> dict[str, Any]:
    """Return the message that a line holds; raises Damaged unless it is one of that chat."""
    try:
        message: dict[str, Any] = orjson.loads(raw)
        if message["chat_id"] != str(chat_id):
            raise Damaged("a line is another chat's")
        line_of(message)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged("a line is no message") from error
    return message


def line_of(message: dict[str, Any]) -> Line:
    """Return the line of a message in the API's form."""
    sent_at = datetime.strptime(message["sent_at"], RFC3339).replace(tzinfo=UTC)
    return make_line(
        chat_id=message["chat_id"],
        seq=message["seq"],
        sender_id=message["sender_id"],
        kind=message["kind"],
        text=message["text"],
        at=to_micros(sent_at),
        client_id=message["client_id"],
    )


def line_from(raw: bytes, chat_id: UUID) -> Line:
    """Return the line that an object's line is; raises Damaged unless it is one of that chat.

    Its bytes are the message's already, in our own form: only what readers ask for is parsed.
    """
    message = parse_line(raw, str(chat_id), seq_of(raw))
    sender_id, client_id = message["sender_id"], message["client_id"]
    body, found, own = raw.rpartition(_CLIENT_ID)
    if not found or (client_id is None) != (own == NO_CLIENT_ID):
        return line_of(message)
    try:
        at = to_micros(datetime.fromisoformat(message["sent_at"]))
    except ValueError as error:
        raise Damaged("a line has no time") from error
    if client_id is None:
        return Line(message["seq"], at, b"", b"", b"", raw)
    return Line(
        message["seq"], at, b"", sender_id.encode(),
        # The separator may not stand in a field; JSON has another way to write it.
        own[:-1].replace(b"|", b"\\u007c"), body + _CLIENT_ID + NO_CLIENT_ID,
    )  # fmt: skip
