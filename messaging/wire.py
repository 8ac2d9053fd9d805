"""A message in the API's own form, made once as JSON and then only carried and joined.

The cache keeps each as `<sent_at µs, 16 digits>|<subject>|<owner>|<client_id>|<body>`: what the
cache's scripts and a reader need without parsing JSON. `subject` is the user whose membership the
message begins, ends or changes; `owner` the sender where there is a client_id, which nobody else
is shown. `body` is the JSON as it is sent; one of more than `PLAIN_BYTES` is compressed, and then
begins with `z`: JSON writes a control character in six bytes, so that a text of them is six times
its size.
"""

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

import orjson

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
NO_CLIENT_ID = b"null}"
PLAIN_BYTES = 5000
"""A body that is no longer stands in the cache as it is: any text of 4,096 ASCII letters."""
COMPRESSED = b"z"
_COMPRESSED_BYTE = COMPRESSED[0]
UNBOUNDED = 1 << 62
ANSWER_MAX_BYTES = 1024 * 1024
"""How many bytes of messages an answer or a page holds at most, if it holds more than one."""
CLIENT_ID_MOST_BYTES = 400
"""More than a client_id is long as JSON: 64 characters of six bytes each."""


def to_micros(moment: datetime) -> int:
    """Return a time as microseconds since 1970, exactly."""
    return (moment - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the time of that many microseconds since 1970, exactly."""
    return EPOCH + micros * MICROSECOND


@lru_cache(maxsize=1024)
def _hour(hours: int) -> str:
    return (EPOCH + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:")


def micros_text(micros: int) -> str:
    """Return a time in microseconds as RFC 3339 with six decimals."""
    minutes, micros = divmod(micros, 60_000_000)
    seconds, micros = divmod(micros, 1_000_000)
    hours, minutes = divmod(minutes, 60)
    return f"{_hour(hours)}{minutes:02d}:{seconds:02d}.{micros:06d}Z"


class Line(NamedTuple):
    """One message of one chat, ready to be sent."""

    seq: int
    at: int
    """`sent_at` in microseconds since 1970."""
    subject: bytes
    owner: bytes
    client_id: bytes
    """The client_id as JSON, for the owner alone."""
    body: bytes
    """The message as JSON, its client_id null."""

    def seen_by(self, user: bytes) -> bytes:
        """Return the message as a user, by the text of their id, gets it."""
        if self.owner and self.owner == user:
            return self.body[: -len(NO_CLIENT_ID)] + self.client_id + b"}"
        return self.body

    def size_for(self, user: bytes) -> int:
        """Return the length of what the user gets, with the comma behind it."""
        if self.owner and self.owner == user:
            return len(self.body) + len(self.client_id) - len(NO_CLIENT_ID) + 2
        return len(self.body) + 1

    def packed(self) -> bytes:
        """Return the form that the cache keeps."""
        body = self.body
        if len(body) > PLAIN_BYTES:
            body = min(body, COMPRESSED + zlib.compress(body, 1), key=len)
        return b"%016d|%b|%b|%b|%b" % (self.at, self.subject, self.owner, self.client_id, body)


def unpack(seq: int, packed: bytes) -> Line:
    """Return the line that the cache keeps in this form."""
    at, subject, owner, client_id, body = packed.split(b"|", 4)
    if body.startswith(COMPRESSED):
        body = zlib.decompress(body[1:])
    return Line(seq, int(at), subject, owner, client_id, body)


def _unpack_plain(first: int, packed: Sequence[bytes]) -> list[Line] | None:
    """Return lines none of which is compressed, the usual ones, at half the cost; else None."""
    lines = []
    # What `Line(...)` does, without a call of its own: every page and poll goes through here.
    new = tuple.__new__
    for seq, line in enumerate(packed, first):
        at, subject, owner, client_id, body = line.split(b"|", 4)
        if body[0] == _COMPRESSED_BYTE:
            return None
        lines.append(new(Line, (seq, int(at), subject, owner, client_id, body)))
    return lines


def unpack_lines(
    first: int, packed: Sequence[bytes], room: int = UNBOUNDED, *, newest_first: bool = False
) -> list[Line]:
    """Return contiguous lines of a list, the first of which has the seq `first`.

    They end with the one that no longer fits into the room, and begin at the first, or with
    `newest_first` at the last: what does not fit is not even unpacked.
    """
    if sum(map(len, packed)) <= room and (plain := _unpack_plain(first, packed)) is not None:
        return plain
    lines = []
    places = range(len(packed))
    for place in places[:: -1 if newest_first else 1]:
        if room < 0:
            break
        line = unpack(first + place, packed[place])
        room -= len(line.body)
        lines.append(line)
    return lines[::-1] if newest_first else lines


def make_line(
    *,
    chat_id: str,
    seq: int,
    sender_id: str,
    kind: str,
    text: str,
    at: int,
    client_id: str | None,
    subject_id: str | None = None,
) -> Line:
    """Return a message's line; `at` is `sent_at` in microseconds since 1970, ids are texts."""
    # Only the text needs escaping; put together by hand it costs a third of a dictionary's way.
    body = (
        f'{{"chat_id":"{chat_id}","seq":{seq},"sender_id":"{sender_id}","kind":"{kind}","text":'
    ).encode() + (
        b'%b,"sent_at":"%b","client_id":null}' % (orjson.dumps(text), micros_text(at).encode())
    )
    owner = quoted = b""
    if client_id is not None:
        owner = sender_id.encode()
        # The separator may not stand in a field; JSON has another way to write it.
        quoted = orjson.dumps(client_id).replace(b"|", b"\\u007c")
    return Line(seq, at, subject_id.encode() if subject_id else b"", owner, quoted, body)
