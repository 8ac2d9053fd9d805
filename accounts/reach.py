"""How many others a user may reach of their own accord: a new one fewer, lest spam pay.

To reach is to open a private chat with somebody, or to put them into a group. Writing on in a chat
that is there reaches nobody anew.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings

from common.errors import Forbidden
from common.limits import ADDS, REACHES, Limit, is_free


class TooManyAtOnce(Forbidden):
    """More users at once than may be reached in a whole window: waiting would not help."""

    default_code = "too_many_at_once"
    default_detail = "A new user may reach at most 50 others in an hour, and these are more."
    field = "member_ids"

    def __init__(self, limit: Limit) -> None:
        who = "A new user" if limit is REACHES else "A user"
        super().__init__(
            f"{who} may reach at most {limit.quota} others in an hour, and these are more."
        )


def is_new(user_id: UUID) -> bool:
    """Say whether a user registered within the last `NEW_USER_HOURS`; their id tells when.

    The first 48 bits of a UUIDv7 are the milliseconds since 1970: RFC 9562, section 5.7.
    """
    age = time.time() - (user_id.int >> 80) / 1000
    return age < settings.NEW_USER_HOURS * 3600


def reaching(user_id: UUID, meta: Mapping[str, Any]) -> Callable[[], None] | None:
    """Return what is to be called before a user opens a chat, None where nothing need be.

    What it raises: Throttled, when a new user has reached as many as they may in an hour.
    """
    if not REACHES.quota or not is_new(user_id) or is_free(meta):
        return None
    return partial(_reach, user_id)


def count_reached(
    user_id: UUID, count: int, meta: Mapping[str, Any], *, counted: bool = False
) -> None:
    """Count users whom somebody puts into a group; raises Throttled.

    `counted` says that the route has taken them from the limit of all users already.
    """
    if not count or is_free(meta):
        return
    limits = [] if counted else [ADDS]
    if is_new(user_id):
        limits.append(REACHES)
    for limit in limits:
        if 0 < limit.quota < count:
            raise TooManyAtOnce(limit)
    for limit in limits:
        limit.take(str(user_id), cost=count)


def _reach(user_id: UUID) -> None:
    REACHES.take(str(user_id))
