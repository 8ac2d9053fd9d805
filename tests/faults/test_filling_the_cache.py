"""Whatever one user puts into the cache, others come in, write and poll, and tasks are queued."""

import os
import sys

import pytest

from tests.faults.filling import MEGABYTE, Filling, control_characters, of_four_bytes
from tests.faults.stage import Stage

pytestmark = pytest.mark.soak

# `make fill` goes on for 20 minutes, on a cache of the shipped size.
SECONDS = float(os.environ.get("FILL_SECONDS", "0"))
SHIPPED = 512 * MEGABYTE


@pytest.fixture
def small(stage: Stage) -> Stage:
    """A stack whose cache has three megabytes beside what it uses for itself."""
    with stage.valkey() as client:
        client.flushall()
        used = client.info("memory")["used_memory"]
        client.config_set("maxmemory", used + 3 * MEGABYTE)
    stage.wait_for_cache()
    return stage


def evicted(stage: Stage) -> int:
    with stage.valkey() as client:
        return int(client.hget("ops:sweeps", "evicted") or 0)


@pytest.mark.timeout(600)
def test_a_small_cache_that_large_messages_fill(small: Stage) -> None:
    # So small that what comes between two sweeps, and its clients' buffers, are much of it.
    filling = Filling(small, of_four_bytes, texts_a_group=7, most=1.5)
    filling.run(lambda: evicted(small) > 0 and filling.rounds > 2, 120)
    assert evicted(small), f"it did not fill: {filling}"


@pytest.mark.timeout(2400)
def test_messages_of_control_characters_fill_nothing(stage: Stage) -> None:
    with stage.valkey() as client:
        client.config_set("maxmemory", SHIPPED)
        before = client.info("memory")["used_memory"]
    filling = Filling(stage, control_characters)
    filling.run(lambda: not SECONDS and filling.sent > 400 and filling.rounds > 2, SECONDS or 120)
    with stage.valkey() as client:
        grown = client.info("memory")["used_memory"] - before
    sys.stderr.write(f"filling: {filling}, {grown / filling.sent:.0f} bytes a message\n")
    assert grown < filling.sent * 1024 + 4 * MEGABYTE, "each took 24.3 KiB"
