"""How often whom may do what: the limits, and what is answered to who has reached one.

`common/lua/limit.lua` counts, in the cache and hence for all workers together. On the routes that
are called often it does so in the script that knows the caller anyway; `Throttle` is for the rest.
docs/limits.md says what each limit is for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework import status
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from common.addresses import client_address, comes_from, counted_as
from common.cache import FRESH_LUA, CacheUnavailable, Script
from common.context import current
from common.counts import Counter
from common.errors import Refusal, Unavailable

_LUA = Path(__file__).parent / "lua"
LIMIT_LUA = _LUA / "limit.lua"
"""Counting; goes behind fresh.lua into every script that limits."""
_take = Script(FRESH_LUA, LIMIT_LUA, _LUA / "take.lua", when_full=True)

REFUSED = Counter("strata_limited_total", "Requests refused by a limit (429).", "limit")
MINUTE, HOUR, DAY = 60, 3600, 86_400
NAMES = {MINUTE: "a minute", HOUR: "an hour", DAY: "a day"}

Asked = tuple[str, int, int]
"""What a script is told of a limit: its name, the quota, the window in ms."""
NOT_ASKED: Asked = ("", 0, 0)


@dataclass(frozen=True, slots=True)
class Limit:
    """So many in a window, for each user or address; the setting says how many, 0 for no limit."""

    name: str
    setting: str
    seconds: int
    what: str
    """What is limited, for the sentence that a refusal says."""

    @property
    def quota(self) -> int:
        """Return how many in a window."""
        quota: int = getattr(settings, self.setting)
        return quota

    def asked(self, meta: Mapping[str, Any]) -> Asked:
        """Return what a script that limits this request is told; see `is_free`."""
        quota = self.quota
        if not quota or is_free(meta):
            return NOT_ASKED
        return self.name, quota, self.seconds * 1000

    def take(self, who: str, *, cost: int = 1, must: bool = False) -> "Taken | None":
        """Take from the limit in a round trip of its own; None where there is no limit.

        Raises Throttled. When the cache is away nobody is refused, or with `must` everybody is:
        NotCounted.
        """
        quota = self.quota
        if not quota:
            return None
        window = self.seconds * 1000
        try:
            left, wait = _take([f"l:{self.name}:{who}"], (quota, window, cost, int(must)))
        except CacheUnavailable as error:
            if must:
                raise NotCounted from error
            return None
        taken = Taken(self, int(left), int(wait))
        taken.check()
        return taken


@dataclass(frozen=True, slots=True)
class Taken:
    """What is left of a limit after a request took from it."""

    limit: Limit
    left: int
    """How many more may come at once; below 0 when this one was refused."""
    wait_ms: int
    """When one more will be there; after a refusal, when the same request would not be refused."""

    def check(self) -> None:
        """Raise Throttled if the request was refused."""
        if self.left < 0:
            REFUSED.inc(self.limit.name)
            raise Throttled(self)

    def headers(self) -> dict[str, str]:
        """Return `RateLimit-Policy` and `RateLimit`, draft-ietf-httpapi-ratelimit-headers-10.

        Its `t` is the time until additional quota is there, in whole seconds.
        """
        name = self.limit.name
        return {
            "RateLimit-Policy": _policy(name, self.limit.quota, self.limit.seconds),
            "RateLimit": f'"{name}";r={max(self.left, 0)};t={-(-self.wait_ms // 1000)}',
        }


class Throttled(Refusal):
    """A limit is reached; nothing was done. `Retry-After` says when it may be tried again."""

    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_code = "throttled"
    default_detail = "That is too often: 300 messages a minute are allowed. Try again in 2 seconds."

    def __init__(self, taken: Taken) -> None:
        self.wait = -(-taken.wait_ms // 1000)
        self.headers = taken.headers()
        self.limit = taken.limit
        quota, seconds = taken.limit.quota, NAMES.get(taken.limit.seconds, "in a while")
        wait = "1 second" if self.wait == 1 else f"{self.wait} seconds"
        super().__init__(
            f"That is too often: {quota} {taken.limit.what} {seconds} are allowed. "
            f"Try again in {wait}."
        )


class NotCounted(Unavailable):
    """What may not be tried without being counted, while there is nothing to count in."""

    default_code = "limits_unavailable"
    default_detail = (
        "Attempts can't be counted for a moment, so none is let through. Send the same request "
        "again in a few seconds; whoever is logged in stays so."
    )


@lru_cache(64)
def _policy(name: str, quota: int, seconds: int) -> str:
    return f'"{name}";q={quota};w={seconds}'


SENDS = Limit("sends", "LIMIT_SENDS_PER_MINUTE", MINUTE, "messages")
POLLS = Limit("polls", "LIMIT_POLLS_PER_MINUTE", MINUTE, "polls")
READS = Limit("reads", "LIMIT_READS_PER_MINUTE", MINUTE, "pages")
WRITES = Limit("writes", "LIMIT_WRITES_PER_MINUTE", MINUTE, "changes")
GROUPS = Limit("groups", "LIMIT_GROUPS_PER_HOUR", HOUR, "new groups")
ADDS = Limit("adds", "LIMIT_ADDS_PER_HOUR", HOUR, "users put into groups")
REACHES = Limit("reaches", "LIMIT_NEW_USER_REACHES_PER_HOUR", HOUR, "users reached by a new user")
REPORTS = Limit("reports", "LIMIT_REPORTS_PER_HOUR", HOUR, "reports")
EXPORTS = Limit("exports", "LIMIT_EXPORTS_PER_DAY", DAY, "exports")
DOWNLOADS = Limit("downloads", "LIMIT_DOWNLOADS_PER_MINUTE", MINUTE, "downloads")
VISITS = Limit("visits", "LIMIT_VISITS_PER_MINUTE", MINUTE, "pages without logging in")
REGISTRATIONS = Limit("registrations", "LIMIT_REGISTRATIONS_PER_HOUR", HOUR, "new users")
GUESSES = Limit("guesses", "LIMIT_LOGIN_FAILURES_PER_HOUR", HOUR, "failed logins")
NAME_GUESSES = Limit("name", "LIMIT_LOGIN_FAILURES_PER_NAME", HOUR, "failed logins by a name")
ADDRESS_GUESSES = Limit(
    "address", "LIMIT_LOGIN_FAILURES_PER_ADDRESS", HOUR, "failed logins from an address"
)
LOGINS = Limit("logins", "LIMIT_LOGINS_PER_HOUR", HOUR, "logins")
NAME_LOGINS = Limit("name_logins", "LIMIT_LOGINS_PER_NAME", HOUR, "logins by a name")
ADDRESS_LOGINS = Limit("address_logins", "LIMIT_LOGINS_PER_ADDRESS", HOUR, "logins from an address")
CODES = Limit("codes", "LIMIT_CODES_PER_HOUR", HOUR, "wrong codes")
RECOVERY_CODES = Limit("recovery_codes", "LIMIT_CODES_PER_HOUR", HOUR, "wrong recovery codes")
USER_CODES = Limit("user_codes", "LIMIT_CODES_PER_USER", DAY, "wrong codes of a user")

ALL = {
    limit.name: limit
    for limit in (
        SENDS, POLLS, READS, WRITES, GROUPS, ADDS, REACHES, REPORTS, EXPORTS, DOWNLOADS, VISITS,
        REGISTRATIONS, GUESSES, NAME_GUESSES, ADDRESS_GUESSES, LOGINS, NAME_LOGINS,
        ADDRESS_LOGINS, CODES, RECOVERY_CODES, USER_CODES,
    )
}  # fmt: skip


def is_free(meta: Mapping[str, Any]) -> bool:
    """Say whether a request comes from one of `LIMIT_FREE_ADDRESSES`, and for itself."""
    return comes_from(meta, settings.LIMIT_FREE_ADDRESSES)


def visited(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Have a page outside the API that anybody may open take from the visits of its address."""

    @wraps(view)
    def counted(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not is_free(request.META):
            take_visit(request)
        return view(request, *args, **kwargs)

    return counted


def take_visit(request: HttpRequest) -> Taken | None:
    """Count a request by its address, once whatever becomes of it; raises Throttled."""
    request.limit_taken = None  # type: ignore[attr-defined]
    return VISITS.take(counted_as(client_address(request.META)))


def count_refused(request: HttpRequest) -> None:
    """Count a request that was refused or led elsewhere before anything counted it.

    Raises Throttled. Whoever has come in by a token was counted with that; who has a session takes
    from their own reads, all others from the visits of their address.
    """
    known = current.user_id is not None or hasattr(request, "limit_taken")
    if known or is_free(request.META):
        return
    # A session's user, where somebody has asked for them.
    user_id = getattr(getattr(request, "_cached_user", None), "pk", None)
    if user_id is None:
        take_visit(request)
    else:
        request.limit_taken = None  # type: ignore[attr-defined]
        READS.take(str(user_id))


def taken_of(limit: Limit, reply: Sequence[Any] | None) -> Taken | None:
    """Return what a script says of a limit; None where it did not count."""
    return Taken(limit, int(reply[0]), int(reply[1])) if reply else None


def headers_of(limit: Limit, reply: Sequence[Any] | None) -> dict[str, str]:
    """Return the headers that a script's word on a limit makes; raises Throttled."""
    if not reply:
        return {}
    taken = Taken(limit, reply[0], reply[1])
    taken.check()
    return taken.headers()


def limit_of(view: Any, method: str | None) -> Limit | None:
    """Return what limits a view: its `limit`, or its `read_limit` where nothing is changed."""
    limit: Limit | None = (
        getattr(view, "read_limit", READS)
        if method in SAFE_METHODS
        else getattr(view, "limit", WRITES)
    )
    return limit


class Throttle(BaseThrottle):
    """Limits every route that DRF answers; who authenticated by a token was counted with that."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """Say yes and add the headers, or raise Throttled."""
        inner = request._request  # noqa: SLF001 - DRF has no other way to it
        taken: Taken | None = getattr(inner, "limit_taken", None)
        if taken is None and not hasattr(inner, "limit_taken"):
            taken = self.take(request, view)
        if taken is not None:
            taken.check()
            view.headers.update(taken.headers())
        return True

    def take(self, request: Request, view: Any) -> Taken | None:
        """Count a request that no token came with: by its session's user, else by its address."""
        limit = limit_of(view, request.method)
        if limit is None or is_free(request.META):
            return None
        if request.user.is_authenticated:
            request._request.limit_taken = None  # type: ignore[attr-defined]  # noqa: SLF001
            return limit.take(str(request.user.pk))
        return take_visit(request._request)  # noqa: SLF001 - DRF has no other way to it
