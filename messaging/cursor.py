"""The cursor: what a client has received, in at most 4 KiB, for ever, its own and unforgeable.

A cursor is (user, epoch, T, {chat -> position}), all times in microseconds. It says: in each chat
everything dated up to the position has been delivered, the position being T where the map has
none; and no commit to come can be dated at or before T. `docs/cursor.md` has the argument.

While a first poll that `limit` cut is being paged through, `shown_until` holds the moment as of
which it is shown; positions then run through what that first poll consists of.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NoReturn
from uuid import UUID

from django.core.signing import BadSignature, Signer
from rest_framework.exceptions import ValidationError

MAX_CHARS = 4096
REMEMBERED_CHARS = 512
VERSION = 1
MORE = 0x80
"""The bit that says that a number goes on in the next byte."""
_signer = Signer(salt="messaging.cursor", sep=".")


class CursorTooLong(Exception):
    """The map holds more chats than 4 KiB can name; the database must move T forward."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A client's place in all its chats."""

    user_id: UUID
    epoch: int
    at: int
    """T, in microseconds since 1970."""
    positions: dict[int, int] = field(default_factory=dict)
    """Chat number -> position in microseconds; every position is later than T."""
    shown_until: int = 0
    """The moment of a first poll that is not shown whole yet, else 0."""

    def position(self, number: int) -> int:
        """Return the time up to which a chat has been delivered."""
        return self.positions.get(number, self.at)

    def moved(self, at: int, delivered: dict[int, int], *, shown_until: int = 0) -> "Cursor":
        """Return the cursor after a delivery: T, never backwards, and each chat's new position."""
        at = max(at, self.at)
        positions = {
            number: position
            for number, position in (self.positions | delivered).items()
            if position > at
        }
        return Cursor(self.user_id, self.epoch, at, positions, shown_until)


def _put(out: bytearray, number: int) -> None:
    """Append a number, seven bits a byte, low bits first."""
    while number >= MORE:
        out.append(number % MORE | MORE)
        number >>= 7
    out.append(number)


def _get(data: bytes, place: int) -> tuple[int, int]:
    """Return the number at a place and the place after it."""
    number = shift = 0
    while True:
        byte = data[place]
        place += 1
        number |= (byte % MORE) << shift
        if byte < MORE:
            return number, place
        shift += 7


def encode(cursor: Cursor) -> str:
    """Return a cursor's text; raises `CursorTooLong`.

    Chats are named by their numbers, each as the difference to the one before, and positions as
    the difference to T: five to seven bytes a chat.
    """
    out = bytearray((VERSION,)) + cursor.user_id.bytes
    for number in (cursor.epoch, cursor.at, cursor.shown_until, len(cursor.positions)):
        _put(out, number)
    last = 0
    for number, position in sorted(cursor.positions.items()):
        _put(out, number - last)
        _put(out, position - cursor.at)
        last = number
    text = _signer.sign(urlsafe_b64encode(out).rstrip(b"=").decode())
    if len(text) > MAX_CHARS:
        raise CursorTooLong
    return text


def decode_or_none(text: str) -> Cursor | None:
    """Return the cursor that a text is, None when it is none of ours.

    A client that has no news sends the same text again, so the last ones are remembered, unless
    they are so long that a thousand of them would take a worker's memory.
    """
    return _decode_again(text) if len(text) <= REMEMBERED_CHARS else _decode(text)


def _decode(text: str) -> Cursor | None:
    if len(text) > MAX_CHARS:
        return None
    try:
        payload = _signer.unsign(text)
        data = urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        if data[0] != VERSION:
            return None
        place = 17
        epoch, place = _get(data, place)
        at, place = _get(data, place)
        shown_until, place = _get(data, place)
        count, place = _get(data, place)
        positions: dict[int, int] = {}
        number = 0
        for _ in range(count):
            step, place = _get(data, place)
            ahead, place = _get(data, place)
            number += step
            positions[number] = at + ahead
    except (BadSignature, ValueError, IndexError):
        return None
    return Cursor(UUID(bytes=data[1:17]), epoch, at, positions, shown_until)


_decode_again = lru_cache(maxsize=1024)(_decode)


def decode_own(text: str, user_id: UUID) -> Cursor:
    """Return the cursor that a user sent; a forged, garbled or another user's one is a 400."""
    cursor = decode_or_none(text)
    if cursor is None or cursor.user_id != user_id:
        refuse()
    return cursor


def refuse() -> NoReturn:
    """Raise the 400 of what is no cursor of the caller's."""
    raise ValidationError(
        {"cursor": "This is not a cursor that you were given. Leave it out to start anew."},
        code="bad_cursor",
    )
