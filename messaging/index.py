"""A user's index in the cache: the recent chats, so that a poll without news asks nobody else."""

import logging
from typing import Any
from uuid import UUID

from django.conf import settings

from common.cache import CacheUnavailable, cache
from common.database import rows
from messaging import scripts
from messaging.sql import read_sql
from messaging.wire import to_micros

logger = logging.getLogger(__name__)
_RECENT = read_sql("recent.sql")


def take_lease(user_id: UUID) -> tuple[bytes, int] | None:
    """Take the lease to fill a user's index; return it with its moment (ms), None without cache."""
    nonce = scripts.new_nonce()
    try:
        _, (seconds, micros) = cache.pipeline(
            [("SET", f"il:{user_id}", nonce, "PX", scripts.LEASE_MS), ("TIME",)]
        )
    except CacheUnavailable:
        return None
    return nonce, int(seconds) * 1000 + int(micros) // 1000


def fill(user_id: UUID, lease: bytes, moment: int, epoch: int) -> None:
    """Read a user's recent chats and put them into the cache, if the lease still stands.

    `moment` is the lease's, in ms of the cache's clock: what is read after it is as good as then.
    The set holds every active chat, at least the latest five, and every chat so recent that a
    cursor of someone who has seen everything may still ask for it.
    """
    found = rows(_RECENT, {"user": user_id, "most": scripts.MOST_CHATS + 1})
    chats = [
        (number, id_, to_micros(at), first) for number, id_, at, wide, first in found if not wide
    ]
    wide = [(number, id_, to_micros(at), first) for number, id_, at, wide, first in found if wide]
    newest = max((chat[2] for chat in (*chats, *wide)), default=0)
    recent_enough = min(
        moment * 1000 - settings.ACTIVE_WINDOW_SECONDS * 1_000_000,
        newest - 2 * scripts.MARGIN_MICROS,
    )
    kept = [
        chat for place, chat in enumerate(chats) if place < scripts.FEW or chat[2] > recent_enough
    ]
    floor = chats[len(kept)][2] if len(kept) < len(chats) else 0
    if len(chats) > scripts.MOST_CHATS:
        # There are more; which ones is not known here.
        floor = max(floor, chats[-1][2])
    args: list[Any] = [
        str(user_id), lease, moment, epoch, floor, scripts.life_seconds(),
        ",".join(str(chat[0]) for chat in wide), len(kept),
    ]  # fmt: skip
    for number, id_, at, first in kept + wide:
        args += (number, at, str(id_), first or "")
    try:
        scripts.fill_index([], args)
    except CacheUnavailable as error:
        logger.debug("index of %s not filled: %s", user_id, error)
