"""Limits in a test: switched on for everybody, and the time that passes for one of them."""

from common.cache import cache


def key_of(name: str, who: object) -> str:
    """Return the key of a limit."""
    return f"l:{name}:{who}"


def let_pass(name: str, who: object, seconds: float) -> None:
    """Let time pass for one limit: the moment in its key comes nearer."""
    key = key_of(name, who)
    whole = float(cache.execute("GET", key))
    cache.execute("SET", key, f"{whole - seconds * 1000:.3f}", "KEEPTTL")
