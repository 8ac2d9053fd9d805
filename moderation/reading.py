"""Reading a chat that one is not in, down the staircase: as somebody who was there saw it.

Cold storage keeps a copy for each user, so each part of a page is read from the copy of somebody
who could see it. Nothing here asks for rights or records: `cases.py` and `glass.py` do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from django.db.models import Q

from accounts.models import User
from archive.models import ErasedUser
from common.errors import NotFound, Unavailable
from common.words import is_long
from messaging.models import Chat, Membership
from messaging.tiers import Chat as TierChat
from messaging.tiers import Reading, Span, read, staircase
from messaging.wire import Line


@dataclass(frozen=True, slots=True)
class Shown:
    """One message, as a moderator sees it."""

    seq: int
    sender_id: UUID
    sender: str
    kind: str
    text: str
    sent_at: str
    known: bool
    """Whether the sender is a user; the service is none."""

    @property
    def long(self) -> bool:
        """Whether the page may have to let it be scrolled."""
        return is_long(self.text)


@dataclass(slots=True)
class ChatPage:
    """A part of a chat: its messages in seq order, the slowest tier asked, what lies around it."""

    messages: list[Shown] = field(default_factory=list)
    served_from: str = ""
    older: bool = False
    newer: bool = False

    @property
    def first(self) -> int | None:
        """The smallest seq of the page."""
        return self.messages[0].seq if self.messages else None

    @property
    def last(self) -> int | None:
        """The largest seq of the page."""
        return self.messages[-1].seq if self.messages else None

    def read(self) -> dict[str, Any]:
        """Return what was read, for the audit log: places, no texts."""
        return {"first": self.first, "last": self.last, "served_from": self.served_from}


def fields_of(line: Line) -> dict[str, Any]:
    """Return a message's fields; nobody's client_id is among them."""
    fields: dict[str, Any] = orjson.loads(line.body)
    return fields


def page_of(
    chat_id: UUID, *, before: int | None = None, limit: int, within: tuple[int, int] | None = None
) -> ChatPage:
    """Return the last `limit` messages of a chat below `before`, or all that are `within` two seqs.

    Raises NotFound for no chat, Unavailable where a part can't be read right now.
    """
    chat = Chat.objects.filter(pk=chat_id).first()
    if chat is None:
        raise NotFound
    first, last = within or (chat.start_seq, chat.last_seq)
    low, high = max(first, chat.start_seq), min(last, chat.last_seq)
    if before is not None:
        high = min(high, before - 1)
    if within is None:
        low = max(low, high - limit + 1)
    page = ChatPage(older=low > chat.start_seq, newer=high < chat.last_seq)
    if low > high:
        return page
    lines: list[Line] = []
    slowest = 0
    names = [tier.name for tier in staircase()]
    for viewer, span in _witnesses(chat, low, high):
        reading = read(Reading([span], viewer))
        lines += reading.found(span)
        slowest = max(slowest, names.index(reading.slowest))
    page.served_from = names[slowest]
    page.messages = _shown(lines)
    return page


def _witnesses(chat: Chat, low: int, high: int) -> list[tuple[UUID, Span]]:
    """Return who could see which part of a stretch of seqs, and still has a copy of it."""
    stretches = list(
        Membership.objects.filter(
            Q(last_seq=None) | Q(last_seq__gte=low), chat=chat, first_seq__lte=high
        )
        .exclude(user__in=ErasedUser.objects.values("user"))
        .order_by("first_seq")
        .values_list("user_id", "first_seq", "last_seq")
    )
    known = TierChat(chat.pk, chat.number)
    if low >= chat.db_seq and not stretches:
        # All of it is in the database, where nobody's own copy is asked for.
        return [(UUID(int=0), Span(known, low, high))]
    found, seq = [], low
    while seq <= high:
        there = [
            (high if last is None else min(last, high), user_id)
            for user_id, first, last in stretches
            if first <= seq and (last is None or last >= seq)
        ]
        if not there:
            raise Unavailable("Everybody who could see a part of this has been erased.")
        end, user_id = max(there)
        found.append((user_id, Span(known, seq, end)))
        seq = end + 1
    return found


def _shown(lines: Sequence[Line]) -> list[Shown]:
    messages = [fields_of(line) for line in lines]
    ids = {UUID(message["sender_id"]) for message in messages}
    names = dict(User.objects.filter(pk__in=ids).values_list("pk", "username"))
    return [
        Shown(
            seq=message["seq"],
            sender_id=UUID(message["sender_id"]),
            sender=names.get(UUID(message["sender_id"]), "the service"),
            kind=message["kind"],
            text=message["text"],
            sent_at=message["sent_at"],
            known=UUID(message["sender_id"]) in names,
        )
        for message in messages
    ]
