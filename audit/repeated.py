"""Entries that strangers cause as often as they like: the first at once, the rest as a number.

The log is only ever added to, so nobody may fill it. A refused login, a wrong password or a wrong
code is an entry at most once a minute for each address, and so often a minute for all addresses
together; what comes between is counted in the cache, and `write_held` makes an entry with the
number of it.
"""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from django.db import transaction
from django.db.models import Model

from audit import actors
from audit.actors import Actor
from audit.models import Action, ActorKind
from audit.services import NOTHING, Target, record
from common.cache import FRESH_LUA, CacheUnavailable, Script, cache
from common.limits import LIMIT_LUA

logger = logging.getLogger(__name__)

_LUA = Path(__file__).parent / "lua"
_noted = Script(FRESH_LUA, LIMIT_LUA, _LUA / "noted.lua", when_full=True)
_drop_held = Script(_LUA / "drop_held.lua", when_full=True)

WINDOW_MS = 60_000
"""One entry of an action from an address in so long."""
ENTRIES_A_MINUTE = 60
"""So many at once, and then so many a minute, from all addresses together."""
KINDS_HELD = 1000
"""How many different ones are counted apart; the rest are counted together."""
TARGETS_NAMED = 10
TOGETHER_KEY = "l:audit:all"
HELD_KEY = "audit:held"
OTHERS = "others"
_alone: dict[Action, float] = {}


def record_repeated(
    action: Action, *, by: Actor | None = None, target: Model | Target = NOTHING,
    reason: str = "", after: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Record what a stranger did, or count it where the address had its entry of this minute."""
    by = by or actors.current()
    name = str(target) if isinstance(target, Model) else target.name
    held = orjson.dumps([str(action), by.address, name, dict(after or {})])
    keys = (TOGETHER_KEY, _window_key(action, by.address), HELD_KEY)
    try:
        now = _noted(keys, (ENTRIES_A_MINUTE, WINDOW_MS, held, KINDS_HELD, OTHERS))
    except CacheUnavailable:
        now = _first_in_a_while(action)
    if now:
        record(action, by=by, target=target, reason=reason, after=after)


def write_held() -> int:
    """Write what was counted, one entry for each action and address; return how many entries.

    An address that had its entry less than a minute ago waits for the next run. Safe to run twice:
    what was written is taken away after the commit, so a crash between them counts it again.
    Raises CacheUnavailable.
    """
    found: dict[tuple[str, str], list[tuple[bytes, int]]] = {}
    for held, times in cache.execute("HGETALL", HELD_KEY).items():
        found.setdefault(_whose(held), []).append((held, int(times)))
    # Most first: where there are more than one run writes, the rest waits and goes on counting.
    order = sorted(found.items(), key=lambda item: -sum(times for _, times in item[1]))
    written = 0
    for (action, address), parts in order[:ENTRIES_A_MINUTE]:
        key = _window_key(action, address)
        if cache.execute("SET", key, 1, "NX", "PX", WINDOW_MS) is None:
            continue
        with transaction.atomic():
            _write(action, address, parts)
        _drop_held([HELD_KEY], [value for part in parts for value in part])
        written += 1
    return written


def _write(action: str, address: str, parts: list[tuple[bytes, int]]) -> None:
    after: dict[str, Any] = {}
    targets: dict[str, int] = {}
    for held, times in parts:
        if held == OTHERS.encode():
            continue
        _, _, name, told = orjson.loads(held)
        after |= told
        if name and (name in targets or len(targets) < TARGETS_NAMED):
            targets[name] = targets.get(name, 0) + times
    after["times"] = sum(times for _, times in parts)
    if targets:
        after["targets"] = targets
    target = Target("user", "", next(iter(targets))) if len(targets) == 1 else NOTHING
    nobody = Actor(ActorKind.NOBODY, "", address=address)
    record(Action(action), by=nobody, target=target, reason="Counted.", after=after)


def _whose(held: bytes) -> tuple[str, str]:
    if held == OTHERS.encode():
        return str(Action.REPEATED), ""
    action, address, _, _ = orjson.loads(held)
    return action, address


def _window_key(action: str, address: str) -> str:
    return f"audit:window:{action}:{address}"


def _first_in_a_while(action: Action) -> bool:
    """Say whether this process may write one while nothing can be counted."""
    now = time.monotonic()
    if now < _alone.get(action, now):
        logger.warning("not in the audit log while the cache is away: %s", action)
        return False
    _alone[action] = now + WINDOW_MS / 1000
    return True
