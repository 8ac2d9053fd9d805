"""Tokens and the cache: whose token is this, without asking the database each time.

docs/authentication.md says what this promises and why. In short: an entry is filled under a lease
that every revocation deletes, and believed for a few seconds at most unless the sweeper vouches
for it, so that a revocation holds whatever fails between its commit and the cache.
"""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any
from uuid import UUID

from django.conf import settings

from accounts import selectors
from common.archive_key import hkdf
from common.cache import FRESH_LUA, CacheRefused, CacheUnavailable, Script, cache
from common.context import current
from common.database_identity import believed_ms
from common.limits import LIMIT_LUA, NOT_ASKED, Asked

logger = logging.getLogger(__name__)

# How old what the cache says of a token may be at most, when a revocation could not tell it. The
# promise is 5 s; the rest is for the request that is under way.
TOKEN_BELIEF_MS = 4000
ENTRY_LIFE_MS = 24 * 3600 * 1000
# A reader that takes longer than this between its miss and its fill doesn't fill.
LEASE_MS = 10_000
# token_urlsafe(32) makes 43 characters; what is much longer is no token of ours.
TOKEN_BYTES = 32
TOKEN_MAX_CHARS = 200
UNKNOWN_SECONDS = 5.0
UNKNOWN_MOST = 10_000
"""So many of them are remembered by each process, in about 1 MB."""
SIGNATURE_BYTES = 16
_SIGNATURE_CHARS = 2 * SIGNATURE_BYTES

_LUA = Path(__file__).parent / "lua"
TOKEN_LUA = _LUA / "token.lua"

_authenticate = Script(FRESH_LUA, LIMIT_LUA, TOKEN_LUA, _LUA / "authenticate.lua", when_full=True)
_fill = Script(FRESH_LUA, LIMIT_LUA, TOKEN_LUA, _LUA / "fill_token.lua", when_full=True)
_drop_touched = Script(_LUA / "drop_touched.lua")
TOUCHED_KEY = "touched"
USES_AT_ONCE = 1000


def new_token() -> str:
    """Return a new token; whoever gets it is the only one who ever has it."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def digest(token: str) -> bytes:
    """Return what is stored of a token. It has 256 random bits, so a plain hash can't be undone."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def entry_key(token_digest: bytes) -> str:
    """Return the key of a token's entry in the cache."""
    return f"t:{token_digest.hex()}"


def lease_key(token_digest: bytes) -> str:
    """Return the key of the lease under which that entry is filled."""
    return f"tl:{token_digest.hex()}"


@lru_cache(maxsize=4)
def _signer(key: str) -> Any:
    return hashlib.blake2b(key=hkdf(key, "accounts.tokens entry"), digest_size=SIGNATURE_BYTES)


def signed(token_digest: bytes, user: bytes) -> bytes:
    """Return a user's id with its signature, as the cache has it: for this token alone.

    Whoever can write to the cache could else log in as anybody. It costs less than 1 µs.
    """
    mac = _signer(settings.SECRET_KEY).copy()
    mac.update(token_digest + user)
    made: bytes = user + mac.hexdigest().encode()
    return made


def user_of(token_digest: bytes, said: bytes) -> bytes | None:
    """Return the user of what the cache says of a token; None where we did not say so."""
    user = said[:-_SIGNATURE_CHARS]
    return user if hmac.compare_digest(signed(token_digest, user), said) else None


class _Unknown:
    """Digests that lately were no token's: whoever sends one over and over costs no query.

    A token is made of 32 random bytes, so what is none now becomes none later; but one may come
    back with a restored database. Bounded, oldest out first.
    """

    def __init__(self) -> None:
        self._until: dict[bytes, float] = {}
        self._lock = Lock()

    def add(self, token_digest: bytes) -> None:
        """Remember one for `UNKNOWN_SECONDS`."""
        with self._lock:
            while len(self._until) >= UNKNOWN_MOST:
                del self._until[next(iter(self._until))]
            self._until[token_digest] = monotonic() + UNKNOWN_SECONDS

    def __contains__(self, token_digest: bytes) -> bool:
        """Say whether one is remembered."""
        until = self._until.get(token_digest)
        return until is not None and monotonic() < until

    def clear(self) -> None:
        """Forget all of them."""
        self._until.clear()


unknown = _Unknown()


def authenticate(token: str) -> UUID | None:
    """Return the user of a token, or None; see `admit`."""
    return admit(token, NOT_ASKED)[0]


def admit(token: str, asked: Asked) -> tuple[UUID | None, Sequence[Any] | None]:
    """Return the user of a token, or None, and what is left of a limit that they take from.

    A token that the cache knows costs one round trip and no query; else one query and two round
    trips; with the cache away, one query, and nothing is counted.
    """
    if not 0 < len(token) <= TOKEN_MAX_CHARS:
        return None, None
    token_digest = digest(token)
    if token_digest in unknown:
        return None, None
    keys = (entry_key(token_digest), lease_key(token_digest))
    try:
        answer = _authenticate(
            keys, (believed_ms(TOKEN_BELIEF_MS), secrets.token_hex(8), LEASE_MS, *asked)
        )
    except CacheUnavailable:
        answer = None
    if answer is not None and answer[0]:
        user = user_of(token_digest, answer[0])
        if user is not None:
            user_id = current.user_id = UUID(user.decode())
            return user_id, answer[1] if len(answer) > 1 else None
        logger.warning("an entry of the cache for a token is not signed: it is not believed")
        forget([token_digest])
        answer = None
    holder = selectors.token_holder(token_digest)
    if holder is None:
        unknown.add(token_digest)
        return None, None
    current.user_id = holder.user_id
    left = None
    if answer is not None:
        _, lease, now, generation = answer
        life = "0" if holder.expires_at is None else int(holder.expires_at.timestamp() * 1000)
        user = str(holder.user_id).encode()
        signature = signed(token_digest, user)[len(user) :]
        filling = (
            lease,
            str(holder.user_id),
            now,
            generation,
            life,
            ENTRY_LIFE_MS,
            signature,
            *asked,
        )
        try:
            left = _fill(keys, filling)
        except CacheUnavailable as error:
            logger.debug("token not cached: %s", error)
    return holder.user_id, left


def forget(digests: Sequence[bytes]) -> bool:
    """Delete tokens from the cache; call it after the commit. False when the cache gave no answer.

    Nothing has to be done then: what the cache says is not believed for long, and the sweeper
    calls this again with `selectors.tokens_revoked_since`.
    """
    if not digests:
        return True
    keys = [name(one) for one in digests for name in (entry_key, lease_key)]
    try:
        cache.execute("DEL", *keys)
    except CacheUnavailable as error:
        level = logging.WARNING if isinstance(error, CacheRefused) else logging.INFO
        logger.log(level, "%d revoked tokens not deleted from the cache: %s", len(digests), error)
        return False
    return True


def noted_uses() -> Iterator[list[tuple[bytes, int]]]:
    """Yield in portions what is noted of tokens' last uses: (digest, milliseconds since 1970).

    Raises CacheUnavailable.
    """
    position: bytes | int = 0
    while True:
        position, flat = cache.execute("HSCAN", TOUCHED_KEY, position, "COUNT", USES_AT_ONCE)
        uses = [
            (bytes.fromhex(name.decode()), int(moment))
            for name, moment in zip(flat[::2], flat[1::2], strict=True)
        ]
        if uses:
            yield uses
        if int(position) == 0:
            return


def drop_uses(uses: Sequence[tuple[bytes, int]]) -> None:
    """Delete notes that are in the rows now; a token used again meanwhile keeps its newer note.

    Raises CacheUnavailable; then they are saved once more, which changes nothing.
    """
    for start in range(0, len(uses), USES_AT_ONCE):
        portion = uses[start : start + USES_AT_ONCE]
        _drop_touched([TOUCHED_KEY], [part for one, ms in portion for part in (one.hex(), ms)])
