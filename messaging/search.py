"""What a moderator types into the search of messages: a chat, a sender, a place or a time."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from accounts import names
from accounts.models import User
from common.database import row
from common.ids import parse_id
from messaging.models import Chat

# The forms of a time, each with how long a stretch it names.
_TIMES = (
    ("%Y-%m-%d", timedelta(days=1)),
    ("%Y-%m-%dT%H", timedelta(hours=1)),
    ("%Y-%m-%dT%H:%M", timedelta(minutes=1)),
)
_TICK = timedelta(microseconds=1)
_PLACE = re.compile(r"#\d{1,18}", re.ASCII)
_SEQS = (
    "SELECT messaging_seq_after(%(chat)s, %(first)s, %(last)s, %(begin)s), "
    "messaging_seq_after(%(chat)s, %(first)s, %(last)s, %(end)s) - 1"
)


@dataclass(slots=True)
class Sought:
    """What was understood: `seqs` are the first and last of a stretch of the chat."""

    chat: UUID | None = None
    sender: UUID | None = None
    seqs: tuple[int, int] | None = None
    nobody: bool = False
    """A sender was named that does not exist."""
    problem: str = ""


def users_called(text: str) -> list[UUID]:
    """Return the ids of the user of a name, in any case, or of an id: one or none."""
    user_id = parse_id(text)
    if user_id is not None:
        return [user_id]
    if "\x00" in text or not text.isprintable():
        return []
    return list(User.objects.filter(username_key=names.key(text)).values_list("pk", flat=True))


def understood(text: str) -> Sought:
    """Return what a text asks for: at most three queries, each by index."""
    words = text.split()
    ids = {word: id_ for word in words if (id_ := parse_id(word)) is not None}
    chats = {chat.pk: chat for chat in Chat.objects.filter(pk__in=ids.values())} if ids else {}
    found = [ids[word] for word in words if ids.get(word) in chats]
    places = [int(word[1:]) for word in words if _PLACE.fullmatch(word)]
    times = [moment for word in words if (moment := _time(word))]
    others = [
        word
        for word in words
        if ids.get(word) not in chats and not _PLACE.fullmatch(word) and not _time(word)
    ]
    if max(len(found), len(places), len(times), len(others)) > 1:
        return Sought(problem="At most one chat and one sender, one #number and one time.")
    if (places or times) and not found:
        return Sought(problem="A #number or a time is looked for in one chat: give its id too.")
    sought = Sought(chat=found[0] if found else None)
    if others:
        senders = users_called(others[0])
        sought.nobody, sought.sender = not senders, senders[0] if senders else None
    if times:
        sought.seqs = _seqs(chats[found[0]], *times[0])
    if places:
        first, last = sought.seqs or (places[0], places[0])
        sought.seqs = (max(first, places[0]), min(last, places[0]))
    return sought


def _time(word: str) -> tuple[datetime, datetime] | None:
    for form, length in _TIMES:
        try:
            begin = datetime.strptime(word, form).replace(tzinfo=UTC)
            # Both ends of the stretch are looked for a tick before, and a date has its limits.
            return begin - _TICK + _TICK, begin + length
        except (ValueError, OverflowError):
            continue
    return None


def _seqs(chat: Chat, begin: datetime, end: datetime) -> tuple[int, int]:
    """Return the seqs of what was sent in a stretch of time; an empty stretch has none between."""
    found = row(
        _SEQS,
        {
            "chat": chat.pk,
            "first": max(chat.db_seq, chat.start_seq),
            "last": chat.last_seq,
            "begin": begin - _TICK,
            "end": end - _TICK,
        },
    )
    return int(found[0]), int(found[1])
