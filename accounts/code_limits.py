"""How often a code of the second factor is looked at: by address and session, never by user alone.

Who has a password alone must not keep its owner out by wrong codes, nor find a code in time. So
each address and each session has a few tries; codes of six digits are limited for the user as
well, but where a right one was given before, that is not asked. Recovery codes can't be guessed and
have a count of their own, so that one of them gets its owner in from anywhere. docs/limits.md
counts it.
"""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accounts.models import User
from common.addresses import client_address, counted_as
from common.cache import FRESH_LUA, CacheUnavailable, Script
from common.limits import (
    CODES,
    LIMIT_LUA,
    RECOVERY_CODES,
    USER_CODES,
    NotCounted,
    Taken,
    is_free,
)

logger = logging.getLogger(__name__)

_LUA = Path(__file__).parent / "lua"
_code = Script(FRESH_LUA, LIMIT_LUA, _LUA / "code.lua", when_full=True)
_right = Script(FRESH_LUA, LIMIT_LUA, _LUA / "code_was_right.lua", when_full=True)
KNOWN_MS = 30 * 24 * 3600 * 1000
"""How long an address from which a user gave a right code stays known to be theirs."""


class CodeAttempt:
    """One code that a user gives, in the keys and quotas that it is counted by."""

    def __init__(
        self, user: User, session_key: str, meta: Mapping[str, Any], *, recovery: bool
    ) -> None:
        self.limit = RECOVERY_CODES if recovery else CODES
        counted = counted_as(client_address(meta))
        session = hashlib.sha256(session_key.encode()).hexdigest()[:32]
        name = self.limit.name
        self.keys = (
            f"l:{name}:{user.pk}:{counted}",
            f"l:{name}:{user.pk}:{session}",
            f"l:user_codes:{user.pk}",
            f"known_code:{user.pk}:{counted}",
        )
        # Behind an address that is free there may be anybody; it is never known for one user's.
        free = is_free(meta)
        quota, window = self.limit.quota, self.limit.seconds * 1000
        of_user = 0 if recovery else USER_CODES.quota
        self.asked = (0 if free else quota, quota, window, of_user, USER_CODES.seconds * 1000)
        self.known_ms = 0 if free else KNOWN_MS
        self.standing = b"stranger"

    def begin(self) -> None:
        """Count it before the code is looked at; raises Throttled, NotCounted."""
        try:
            standing, *wait = _code(self.keys, self.asked)
        except CacheUnavailable as error:
            raise NotCounted from error
        if wait:
            limit = USER_CODES if standing == b"user" else self.limit
            Taken(limit, -1, int(wait[0])).check()
        self.standing = standing

    def was_right(self) -> None:
        """Take it back; it stays counted when the cache has gone meanwhile."""
        try:
            _right(self.keys, (*self.asked, self.standing, self.known_ms))
        except CacheUnavailable as error:
            logger.info("a right code stays counted as a wrong one: %s", error)
