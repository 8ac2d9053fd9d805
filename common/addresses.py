"""Who sends a request, as an address: behind proxies of ours, and as one limit counts it.

`X-Forwarded-For` is whatever its sender wrote, followed by what each proxy on the way added: the
address that *it* was asked by. So only as many entries at its end are to be believed as there are
proxies that one runs oneself (`TRUSTED_PROXIES`), and the first of those is the client.
"""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from django.conf import settings

UNKNOWN = "unknown"
IPV6_PREFIX = 64
"""What one customer is given at least, and so can choose addresses from: RFC 6177."""


def client_address(meta: Mapping[str, Any]) -> str:
    """Return the address of whoever sent a request, `unknown` where the server says none.

    The `TRUSTED_PROXIES`th entry of X-Forwarded-For from its end; with fewer entries, which only
    proxies of ours can have made, the first. Without proxies the header means nothing.
    """
    peer: str = meta.get("REMOTE_ADDR") or UNKNOWN
    hops = settings.TRUSTED_PROXIES
    if not hops:
        return peer
    forwarded = meta.get("HTTP_X_FORWARDED_FOR")
    if not forwarded:
        return peer
    entries = forwarded.split(",")
    return without_port(entries[-min(hops, len(entries))].strip()) or peer


def without_port(text: str) -> str | None:
    """Return the address in `address`, `address:port` or `[address]:port`; None when it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(plain(text))
    except ValueError:
        return None


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
