"""Whatever is counted in the cache is counted in one that is full, too: no limit may lock out."""

import pkgutil
from importlib import import_module

from common.cache import Script
from common.limits import LIMIT_LUA

ROOMS = (
    "accounts", "archive", "audit", "chats", "common", "config", "groups", "messaging",
    "moderation", "overview",
)  # fmt: skip


def scripts() -> dict[str, Script]:
    """Return every script of the server by its module and name."""
    found = {}
    for room in ROOMS:
        package = import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            if ".tests" in module.name or ".migrations" in module.name or module.ispkg:
                continue
            for name, value in vars(import_module(module.name)).items():
                if isinstance(value, Script):
                    found[f"{module.name}.{name}"] = value
    return found


def test_every_script_that_counts_a_limit_may_write_where_there_is_no_room() -> None:
    counting = {
        name: one for name, one in scripts().items() if LIMIT_LUA.read_bytes() in one.source
    }
    assert {"accounts.code_limits._code", "audit.repeated._noted"} <= set(counting)
    assert len(counting) >= 8
    refused = [name for name, one in counting.items() if b"allow-oom" not in one.source[:40]]
    assert refused == []
