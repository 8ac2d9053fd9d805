"""What senders wrote down: every message of every chat, and who could see it."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.http import JSON, Person

Stretch = tuple[int, int | None]
HOUR = timedelta(hours=1)


def hour_of(message: JSON) -> datetime:
    """Return the hour in which a message was sent."""
    at = datetime.fromisoformat(message["sent_at"])
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def as_seen_by(user_id: str, message: JSON) -> JSON:
    """Return a message as a user is shown it: with a client_id if it is theirs."""
    return message if message["sender_id"] == user_id else {**message, "client_id": None}


@dataclass
class Chat:
    """A chat, from the first message to the last; written by one thread at a time."""

    chat_id: str
    members: dict[str, Person]
    """Who is in it now."""
    owner: Person | None = None
    """Who created it, for a group."""
    log: list[JSON] = field(default_factory=list)
    """Each message as its sender was answered."""
    stretches: dict[str, list[Stretch]] = field(default_factory=dict)
    """User -> the seqs from a joining to the removal after it."""

    def wrote(self, message: JSON) -> None:
        """Write down a message that was acknowledged."""
        assert message["seq"] == len(self.log) + 1, (message, len(self.log))
        assert message["chat_id"] == self.chat_id
        assert not self.log or message["sent_at"] > self.log[-1]["sent_at"]
        self.log.append(message)

    def joined(self, person: Person, seq: int) -> None:
        """Write down that somebody sees the chat from a seq on."""
        self.members[person.user_id] = person
        self.stretches.setdefault(person.user_id, []).append((seq, None))

    def left(self, person: Person, seq: int) -> None:
        """Write down the last seq that somebody sees."""
        del self.members[person.user_id]
        first, last = self.stretches[person.user_id].pop()
        assert last is None
        self.stretches[person.user_id].append((first, seq))

    def visible(self, user_id: str) -> list[JSON]:
        """Return what a user is shown of it, in order, if nothing has expired."""
        return [
            as_seen_by(user_id, self.log[seq - 1])
            for first, last in self.stretches.get(user_id, [])
            for seq in range(first, (last or len(self.log)) + 1)
        ]

    def start(self, before: datetime | None, kept: int) -> int:
        """Return the first seq that is not gone: of an hour not over by then, or of the last ones."""
        for message in self.log[: max(0, len(self.log) - kept)]:
            if before is None or hour_of(message) + HOUR > before:
                return int(message["seq"])
        return max(1, len(self.log) - kept + 1)


class Texts:
    """Texts of every plane of Unicode, and those that break what is written in lines."""

    AWKWARD = (
        " ",
        "\n",
        "\r\n\r\n",
        "line\u2028end\u2029end\u0085end\x0b\x0c\x1c\x1d\x1e",
        '{"seq":1}\n{"seq":2}',
        "e\u0301\u00e9\u200f\u2067x\u2069\ufeff",
        "\\u0000 \\ud800 \\n %s {} $1",
        "\x01\x1f\x7f\u009f",
        "'; DROP TABLE messaging_message; --",
        "\ufffe\uffff\U0001fffe\U0010ffff",
    )

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._lock = threading.Lock()
        self._plane = 0

    def __call__(self) -> str:
        """Return another one."""
        with self._lock:
            kind = self._chance.random()
            if kind < 0.15:
                return self._chance.choice(self.AWKWARD)
            if kind < 0.17:
                return self._of_plane(4096)
            return self._of_plane(self._chance.randint(1, 60))

    def _of_plane(self, length: int) -> str:
        self._plane = (self._plane + 1) % 17
        points: list[str] = []
        while len(points) < length:
            point = self._plane * 0x10000 + self._chance.randrange(0x10000)
            if point and not 0xD800 <= point <= 0xDFFF:
                points.append(chr(point))
        return "".join(points)
