"""Who sends a request, as an address: behind proxies of ours, and as one limit counts it.

`X-Forwarded-For` is whatever its sender wrote, followed by what each proxy on the way added: the
address that *it* was asked by. So only as many entries at its end are to be believed as there are
proxies that one runs oneself (`TRUSTED_PROXIES`), and the first of those is the client.
"""

import logging
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from django.conf import settings

logger = logging.getLogger(__name__)

UNKNOWN = "unknown"
HANDED_ON = (
    "HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA",
    "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST",
)  # fmt: skip
"""What proxies add to what they hand on. A client may add it too: it gains nothing by that."""
IPV6_PREFIX = 64
"""What one customer is given at least, and so can choose addresses from: RFC 6177."""

KNOWN_MAX_CHARS = 64
"""No address is longer, but for the name of an IPv6 zone; longer texts are not remembered."""


def client_address(meta: Mapping[str, Any]) -> str:
    """Return the address of whoever sent a request, `unknown` where the server says none.

    The `TRUSTED_PROXIES`th entry of X-Forwarded-For from its end; with fewer entries, which only
    proxies of ours can have made, the first. Without proxies the header means nothing.
    """
    return _told(meta) or meta.get("REMOTE_ADDR") or UNKNOWN


def _told(meta: Mapping[str, Any]) -> str | None:
    """Return the client's address as trusted proxies tell it; None where none do."""
    hops = settings.TRUSTED_PROXIES
    if not hops:
        return None
    forwarded = meta.get("HTTP_X_FORWARDED_FOR")
    if not forwarded:
        return None
    entries = forwarded.split(",")
    return without_port(entries[-min(hops, len(entries))].strip())


def comes_from(meta: Mapping[str, Any], networks: tuple[str, ...]) -> bool:
    """Say whether a request comes from one of some networks, and not through a stranger there.

    A proxy that TRUSTED_PROXIES does not count, or that does not say for whom it asks, has an
    address of its own alone: what it hands on may be anybody's, and comes from nowhere.
    """
    told = _told(meta)
    if not is_within(told or meta.get("REMOTE_ADDR") or UNKNOWN, networks):
        return False
    if told is None and not meta.keys().isdisjoint(HANDED_ON):
        _warn(settings.TRUSTED_PROXIES)
        return False
    return True


@lru_cache(1)
def _warn(hops: int) -> None:
    """Say it once in each process."""
    logger.warning(
        "requests are handed on by a proxy of which TRUSTED_PROXIES (%d) does not tell the client: "
        "they count as one stranger's; see docs/limits.md",
        hops,
    )


def without_port(text: str) -> str | None:
    """Return the address in `address`, `address:port` or `[address]:port`; None when it is none."""
    # An address is asked for several times a request, and by the same one again.
    return _known_without_port(text) if len(text) <= KNOWN_MAX_CHARS else _without_port(text)


def _without_port(text: str) -> str | None:
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(plain(text))
    except ValueError:
        return None


_known_without_port = lru_cache(4096)(_without_port)


def plain(text: str) -> IPv4Address | IPv6Address:
    """Return an address, an IPv4 one in IPv6's clothing as what it is; raises ValueError."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(4096)
def counted_as(address: str) -> str:
    """Return what an address is counted as: itself, or an IPv6 one's network of one customer."""
    try:
        found = plain(address)
    except ValueError:
        return UNKNOWN
    if isinstance(found, IPv6Address):
        return str(ip_network((found, IPV6_PREFIX), strict=False))
    return str(found)


@lru_cache(4096)
def is_within(address: str, networks: tuple[str, ...]) -> bool:
    """Say whether an address is in one of some networks, each `address` or `address/bits`."""
    try:
        found = plain(address)
    except ValueError:
        return False
    return any(found in ip_network(network, strict=False) for network in networks)
