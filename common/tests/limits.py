"""Limits in a test: switched on for everybody, and the time that passes for one of them."""

import re

from common.cache import cache

SLOW = 30
"""How many seconds of a test a busy machine may take, in which some of a quota comes back."""


def key_of(name: str, who: object) -> str:
    """Return the key of a limit."""
    return f"l:{name}:{who}"


def let_pass(name: str, who: object, seconds: float) -> None:
    """Let time pass for one limit: the moment in its key comes nearer."""
    key = key_of(name, who)
    whole = float(cache.execute("GET", key))
    cache.execute("SET", key, f"{whole - seconds * 1000:.3f}", "KEEPTTL")


def about(seconds: float, said: object) -> bool:
    """Say whether a time is this one, less what has passed since."""
    return seconds - SLOW < int(str(said)) <= seconds


def says(response, name: str, left: int, wait: float) -> bool:
    """Say whether an answer's `RateLimit` is this one, less the time that has passed since."""
    found = re.fullmatch(r'"(\w+)";r=(\d+);t=(\d+)', response["RateLimit"])
    assert found, response["RateLimit"]
    return (found[1], int(found[2])) == (name, left) and about(wait, found[3])
