"""System checks of what the settings promise each other."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Info, Tags, register
from django.db import DatabaseError

from archive.keys import confirmed
from common import archive_key, limits
from common.addresses import is_within

# Nothing works with less than one of these.
_AT_LEAST_ONE = (
    "HOT_MESSAGES_PER_CHAT",
    "HOT_BYTES_PER_CHAT",
    "ACTIVE_WINDOW_SECONDS",
    "GROUP_MAX_MEMBERS",
    "TOKENS_PER_USER",
    "OPEN_REPORTS_PER_USER",
    "MESSAGE_MAX_CHARS",
    "BODY_MAX_BYTES",
    "CACHE_TIMEOUT_MS",
    "SWEEP_INTERVAL_MS",
    "ARCHIVE_THREADS",
    "ARCHIVE_CACHE_SECONDS",
)
LOOPBACK = ("127.0.0.0/8", "::1")


@register()
def check_tier_sizes(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """X ≤ Y: the cache never promises messages that the database may have let go."""
    if settings.HOT_MESSAGES_PER_CHAT <= settings.DB_MESSAGES_PER_CHAT:
        return []
    return [
        Error(
            f"HOT_MESSAGES_PER_CHAT ({settings.HOT_MESSAGES_PER_CHAT}) is larger than "
            f"DB_MESSAGES_PER_CHAT ({settings.DB_MESSAGES_PER_CHAT}).",
            hint="The cache holds the newest part of what the database holds: raise the latter.",
            id="strata.E001",
        )
    ]


@register()
def check_positive(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Sizes and times that make no sense below one are refused."""
    return [
        Error(f"{name} is {getattr(settings, name)}; it must be at least 1.", id="strata.E002")
        for name in _AT_LEAST_ONE
        if getattr(settings, name) < 1
    ]


@register()
def check_limits(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Limits are so many, or 0 for none, and so are proxies."""
    names = ["TRUSTED_PROXIES", "NEW_USER_HOURS", *(limit.setting for limit in limits.ALL.values())]
    return [
        Error(f"{name} is {getattr(settings, name)}; it must be at least 0.", id="strata.E004")
        for name in names
        if getattr(settings, name) < 0
    ]


@register()
def check_networks(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Who may read the figures must be addresses or networks."""
    found: list[CheckMessage] = []
    for name in settings.METRICS_ALLOWED:
        try:
            ip_network(name)
        except ValueError as error:
            found.append(Error(f"METRICS_ALLOWED: {error}.", id="strata.E003"))
    return found


@register(Tags.security, deploy=True)
def check_proxies(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Where a proxy stands in front, it is said how many do, or all callers are one address."""
    if settings.TRUSTED_PROXIES:
        return []
    if settings.WEB_SOCKET:
        sign = "WEB_SOCKET is a socket that a proxy alone reaches"
    elif settings.BEHIND_TLS_PROXY:
        sign = "BEHIND_TLS_PROXY is on"
    elif settings.HOST == "localhost" or is_within(settings.HOST, LOOPBACK):
        sign = f"HOST ({settings.HOST}) is reached by a proxy on this machine alone"
    else:
        return []
    return [
        checks.Warning(
            f"TRUSTED_PROXIES is 0, but {sign}: everybody would count as one address, the proxy's, "
            "in limits and in the audit log.",
            hint="Set TRUSTED_PROXIES to how many proxies of yours each request passes; see "
            "docs/limits.md.",
            id="strata.W001",
        )
    ]


@register(Tags.security, deploy=True)
def check_archive_key(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """There is an archive key, and somebody has said that a copy of it is kept elsewhere."""
    if not settings.ARCHIVE_KEY:
        return [
            Error(
                "ARCHIVE_KEY is not set: no backup is written, and nothing serves.",
                hint="Give a long random one, and keep a copy elsewhere; see docs/operations.md.",
                id="strata.E005",
            )
        ]
    try:
        key, since = archive_key.current_id(), confirmed()
    except DatabaseError:
        # While the image is built there is none, and before the first migration no table.
        return []
    if since is None:
        return [
            checks.Warning(
                f"Nobody has said that the archive key {key} is kept elsewhere: without it the "
                "bucket can't be restored from.",
                hint="manage.py archive_key --show, keep it, then manage.py archive_key --confirm.",
                id="strata.W002",
            )
        ]
    said = f"The archive key {key} is kept elsewhere, as was said on {since:%Y-%m-%d}."
    return [Info(said, id="strata.I001")]
