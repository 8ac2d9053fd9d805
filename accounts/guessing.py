"""What stands between a guesser and the passwords: logins are counted, at every door alike.

Failed ones, so that nobody guesses; right ones too, since each costs a hash, and are counted apart.

docs/limits.md says against whom, and why a name is slowed but never locked. Counting needs the
cache; without it nobody is let try (`NotCounted`), while whoever has a token or session goes on.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accounts import names
from accounts.models import User
from audit.models import Action
from audit.repeated import record_repeated
from audit.services import NOTHING
from common.addresses import client_address, counted_as
from common.cache import FRESH_LUA, CacheUnavailable, Script
from common.counts import Counter
from common.limits import (
    ADDRESS_GUESSES,
    ADDRESS_LOGINS,
    ALL,
    GUESSES,
    LIMIT_LUA,
    LOGINS,
    NAME_GUESSES,
    NAME_LOGINS,
    REGISTRATIONS,
    NotCounted,
    Taken,
    Throttled,
    is_free,
)

logger = logging.getLogger(__name__)

_LUA = Path(__file__).parent / "lua"
_guess = Script(FRESH_LUA, LIMIT_LUA, _LUA / "guess.lua", when_full=True)
_settle = Script(FRESH_LUA, LIMIT_LUA, _LUA / "settle.lua", when_full=True)
KNOWN_MS = 30 * 24 * 3600 * 1000
"""How long an address from which a name logged in stays known to be theirs."""
WINDOW_MS = GUESSES.seconds * 1000

ATTEMPTS = Counter("strata_logins_total", "Attempts to log in, by what came of them.", "outcome")


def count_registration(meta: Mapping[str, Any]) -> None:
    """Count an attempt to register; raises Throttled, or NotCounted while the cache is away."""
    if not is_free(meta):
        REGISTRATIONS.take(counted_as(client_address(meta)), must=True)


@contextmanager
def guarded(username: str, meta: Mapping[str, Any], wrong: type[Exception]) -> Iterator[None]:
    """Have the block look at a password; `wrong` is what it raises when that is not right.

    Raises Throttled instead, before the block and so before anything is hashed, when there were too
    many failures or too many right logins, and NotCounted while the cache is away. Anything else
    that the block raises is neither.
    """
    attempt = _Attempt(username, meta)
    try:
        attempt.begin()
    except Throttled as refused:
        ATTEMPTS.inc("limited")
        logger.warning(
            "login refused by the limit %r: from %s, name %s",
            refused.limit.name, attempt.counted, attempt.name[:12],
        )  # fmt: skip
        raise
    except NotCounted:
        ATTEMPTS.inc("not_counted")
        raise
    try:
        yield
    except wrong:
        ATTEMPTS.inc("wrong")
        logger.info("login failed: from %s, name %s", attempt.counted, attempt.name[:12])
        attempt.settle("wrong")
        raise
    except BaseException:
        attempt.settle("")
        raise
    ATTEMPTS.inc("right")
    attempt.settle("right")


def note_lockout(username: str, refused: Throttled) -> None:
    """Record in the audit log that a login of the admin was refused, or count that it was.

    A name that nobody has is not kept: people type passwords into the wrong field.
    """
    user = User.objects.filter(username_key=names.key(username)).first()
    record_repeated(Action.LOCKOUT, target=user or NOTHING, reason=str(refused.detail))


def _hashed(username: str) -> str:
    # A name may be a password typed into the wrong field, and has any length.
    return hashlib.sha256(names.key(username).encode("utf-8", "surrogatepass")).hexdigest()


class _Attempt:
    """One attempt, in the keys and quotas that it is counted by."""

    def __init__(self, username: str, meta: Mapping[str, Any]) -> None:
        self.name = _hashed(username)
        self.counted = counted_as(client_address(meta))
        pair = f"{self.name}:{self.counted}"
        self.keys = (
            f"l:address:{self.counted}",
            f"l:guesses:{pair}",
            f"l:name:{self.name}",
            f"known:{pair}",
            f"l:address_logins:{self.counted}",
            f"l:logins:{pair}",
            f"l:name_logins:{self.name}",
        )
        # Behind an address that is free there may be anybody: only the name tells guessers apart.
        free = is_free(meta)
        self.quotas = (
            *(0 if free else limit.quota for limit in (ADDRESS_GUESSES, GUESSES)),
            NAME_GUESSES.quota,
            *(0 if free else limit.quota for limit in (ADDRESS_LOGINS, LOGINS, NAME_LOGINS)),
        )
        self.standing = b"stranger"

    def begin(self) -> None:
        """Count it; raises Throttled, NotCounted."""
        if not any(self.quotas):
            return
        try:
            standing, *wait = _guess(self.keys, (*self.quotas, WINDOW_MS))
        except CacheUnavailable as error:
            raise NotCounted from error
        if wait:
            Taken(ALL[standing.decode()], -1, int(wait[0])).check()
        self.standing = standing

    def settle(self, came_out: str) -> None:
        """Take back what it was not: it was `right`, `wrong`, or "" for neither.

        All of it stays counted when the cache has gone meanwhile.
        """
        if not any(self.quotas):
            return
        try:
            _settle(self.keys, (*self.quotas, WINDOW_MS, self.standing, came_out, KNOWN_MS))
        except CacheUnavailable as error:
            logger.info("a login stays counted as a failed and a right one: %s", error)
