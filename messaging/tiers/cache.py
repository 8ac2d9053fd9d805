"""The hot tier: the last messages of each recent chat, in the cache."""

from collections.abc import Container, Sequence
from typing import Any

from django.conf import settings

from common.cache import CacheUnavailable
from messaging import scripts
from messaging.telling import chat_facts
from messaging.tiers import Chat, Reading, Span, Tier
from messaging.wire import Line, unpack_lines


class CacheTier(Tier):
    """Lists of lines in Valkey. Never the only place of anything."""

    name = "cache"

    def read(self, reading: Reading, missing: Sequence[Span]) -> None:
        """Add the chats' lines: one round trip. Chats that have no list get a lease to fill one."""
        chats: dict[int, Span] = {}
        for span in missing:
            other = chats.setdefault(span.chat.number, span)
            if other is not span:
                first, last = min(other.first, span.first), max(other.last, span.last)
                chats[span.chat.number] = Span(span.chat, first, last, span.room)
        nonce = scripts.new_nonce()
        args: list[Any] = [nonce, scripts.LEASE_MS, "1" if reading.newest_first else ""]
        for number, (_, first, last, room) in chats.items():
            args += (number, first, last, room)
        try:
            answer = scripts.read_lines([], args)
        except CacheUnavailable:
            return
        leases = reading.notes[self.name] = {}
        for (chat, *_, room), (end, first, *packed) in zip(chats.values(), answer, strict=True):
            if end is None:
                leases[chat.number] = (nonce, chat)
            else:
                lines = unpack_lines(int(first), packed, room, newest_first=reading.newest_first)
                reading.add(chat, lines)

    def take(self, reading: Reading) -> None:
        """Fill the lists of chats whose last message was read together with their end."""
        leases: dict[int, tuple[bytes, Chat]] = reading.notes.get(self.name, {})
        fills = []
        for number, (nonce, chat) in leases.items():
            end = reading.ends.get(number)
            lines = tail(reading.lines.get(number, {}), end, reading.own.get(number, ()))
            packed = last_bytes([line.packed() for line in lines])
            if end and packed:
                fills.append((chat, nonce, lines[-1], packed))
        if not fills:
            return
        facts = chat_facts([chat.id for chat, *_ in fills])
        try:
            for chat, nonce, last, packed in fills:
                pairs = facts[chat.id]
                scripts.take_lines(
                    [],
                    [
                        chat.number,
                        nonce,
                        last.at,
                        last.seq,
                        scripts.life_seconds(),
                        len(pairs) // 2,
                        *pairs,
                        *packed,
                    ],
                )
        except CacheUnavailable:
            return


def tail(lines: dict[int, Line], end: int | None, own: Container[int]) -> list[Line]:
    """Return the contiguous lines up to `end`, as many as the cache keeps of a chat.

    A viewer's own copy ends them: what the cache keeps of a chat is for all its members.
    """
    found: list[Line] = []
    seq = end or 0
    most = settings.HOT_MESSAGES_PER_CHAT
    while seq in lines and seq not in own and len(found) < most:
        found.append(lines[seq])
        seq -= 1
    return found[::-1]


def last_bytes(packed: list[bytes]) -> list[bytes]:
    """Return the last lines that fit into the bytes kept of a chat, the last one in any case."""
    room = settings.HOT_BYTES_PER_CHAT
    for place in range(len(packed) - 1, -1, -1):
        room -= len(packed[place])
        if room < 0:
            return packed[min(place + 1, len(packed) - 1) :]
    return packed
