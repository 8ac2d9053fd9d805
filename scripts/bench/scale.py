"""How much the bench fills in and how long it measures; and what one measurement is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scripts.bench.load import Expected, Request

IDLE_POLL = "idle poll"
"""The title that refusals are measured by."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much there is of everything, and how long each measurement takes."""

    pollers: int
    senders: int
    groups: int
    wide_groups: int
    wide_members: int
    page_chats: int
    sized_chats: int
    sizes: tuple[int, ...]
    counts: tuple[int, ...]
    rounds: int
    seconds: float
    growth_rounds: int
    growth_seconds: float
    memory_requests: int


FULL = Scale(
    pollers=1500, senders=400, groups=100, wide_groups=8, wide_members=1000, page_chats=200,
    sized_chats=12, sizes=(10, 1_000, 100_000), counts=(10, 100, 500),
    rounds=5, seconds=3, growth_rounds=5, growth_seconds=2, memory_requests=100_000,
)  # fmt: skip
QUICK = Scale(
    pollers=200, senders=100, groups=20, wide_groups=2, wide_members=1000, page_chats=40,
    sized_chats=4, sizes=(10, 1_000, 20_000), counts=(10, 100),
    rounds=2, seconds=1, growth_rounds=1, growth_seconds=1, memory_requests=2_000,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of request."""

    title: str
    requests: Sequence[Request]
    expected: Expected
    # CPU-ms and ratio to the constant view that are to be kept, where there is a target.
    most_ms: float = 0.0
    most_ratio: float = 0.0
    # How many idle polls of the same run it may cost, where that is the target.
    most_polls: float = 0.0
    connections: int = 8
    # Each answer is a new message: the database is asked afterwards whether they are there.
    sends: bool = False


@dataclass(frozen=True, slots=True)
class ColdScale:
    """How much the archive's rows fill in."""

    chats: int
    hours: int
    busy_chats: int
    seconds: float
    pages: int
    large: int = 0
    cycles: int = 0


COLD = ColdScale(chats=300, hours=8, busy_chats=500, seconds=4, pages=400)
COLD_QUICK = ColdScale(chats=20, hours=5, busy_chats=60, seconds=1, pages=40)
