"""Telling the cache what has been committed. The database has it already: nothing here may fail."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings

from common.cache import CacheUnavailable, cache
from common.counts import Counter
from common.database import rows
from messaging import scripts
from messaging.sql import read_sql
from messaging.tiers import Chat
from messaging.wire import Line

logger = logging.getLogger(__name__)
_CHATS = read_sql("chats.sql")
UNTOLD = Counter(
    "strata_cache_drops_total",
    "Committed messages that the cache could not be told; the sweeper makes good.",
)


@dataclass(frozen=True, slots=True)
class Told:
    """One committed message, and who is to hear of it."""

    chat: Chat
    line: Line
    readers: str = ""
    """`user first_seq,...`: the members whose index is bumped; empty for a wide chat."""
    moved: Collection[UUID] = ()
    """Users whose membership changed: what the cache holds of them is forgotten."""
    facts: Sequence[Any] = field(default_factory=list)
    """For a chat's first message, what the cache keeps of the chat, as flat pairs."""

    def arguments(self) -> list[Any]:
        """Return what `tell.lua` takes."""
        return [
            self.chat.number,
            str(self.chat.id),
            self.line.seq,
            self.line.at,
            self.line.packed(),
            settings.HOT_MESSAGES_PER_CHAT,
            settings.HOT_BYTES_PER_CHAT,
            scripts.life_seconds(),
            self.readers,
            ",".join(map(str, self.moved)),
            *self.facts,
        ]


def tell(told: Told) -> bool:
    """Tell the cache of a message: one round trip. False when it could not be told.

    What it was not told, the sweeper tells it within a second or two; until then nothing that it
    says is believed for longer than that.
    """
    try:
        tell_or_raise(told)
    except CacheUnavailable as error:
        UNTOLD.inc()
        logger.info("cache not told of %s/%d: %s", told.chat.id, told.line.seq, error)
        return False
    return True


def tell_or_raise(told: Told) -> None:
    """Tell the cache of a message; raises `CacheUnavailable`."""
    scripts.tell([], told.arguments())


def forget_chat(number: int) -> None:
    """Have the cache forget a chat, and whoever is about to fill it, after its start has moved.

    Where the cache is away nothing is lost: a page whose start is gone asks the database.
    """
    try:
        cache.execute("DEL", f"c:{number}", f"m:{number}", f"w:{number}", f"cl:{number}")
    except CacheUnavailable as error:
        logger.info("cache not told of the start of chat %d: %s", number, error)


def chat_facts(chat_ids: Sequence[UUID]) -> dict[UUID, list[Any]]:
    """Return what a chat's hash holds besides `at` and `end`, as a flat list of pairs."""
    facts = {}
    for id_, _, kind, name, start, low_id, high_id, low_name, high_name in rows(
        _CHATS, {"chats": list(chat_ids)}
    ):
        pairs = ["id", str(id_), "kind", kind, "start", start]
        if kind == "group":
            pairs += ["name", name]
        else:
            pairs += [f"name:{low_id}", high_name, f"name:{high_id}", low_name]
        facts[id_] = pairs
    return facts
