"""What measurements gave."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from scripts.bench.load import Outcome
from scripts.bench.meter import COUNTED


@dataclass(slots=True)
class Figures:
    """What the repetitions of one measurement gave; CPU in milliseconds per request."""

    title: str
    most_ms: float = 0.0
    most_ratio: float = 0.0
    most_polls: float = 0.0
    cpu: list[dict[str, float]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def cpu_ms(self) -> float:
        """Return the median CPU time of a request over all that is counted."""
        return statistics.median(sum(one[part] for part in COUNTED) for one in self.cpu)

    @property
    def spread(self) -> float:
        """Return how far the repetitions lie apart, as a share of the median."""
        totals = [sum(one[part] for part in COUNTED) for one in self.cpu]
        return (max(totals) - min(totals)) / self.cpu_ms

    def part(self, name: str) -> float:
        """Return the median CPU time of one part."""
        return statistics.median(one.get(name, 0.0) for one in self.cpu)

    def of(self, name: str) -> float:
        """Return the median of a field of the outcomes."""
        return statistics.median(float(getattr(one, name)) for one in self.outcomes)


@dataclass(slots=True)
class Run:
    """What one run did and used; CPU in seconds by part."""

    title: str
    report: dict[str, Any]
    cpu: dict[str, float]
    seconds: float
    megabytes: float
    """The most that its process had resident."""


@dataclass(slots=True)
class Meanwhile:
    """Sends while a run went on, and without one."""

    title: str
    outcome: Outcome
    covered: bool
    """Whether the run went on until the last send."""


@dataclass(slots=True)
class ColdResults:
    """All that the archive's rows found out."""

    runs: list[Run] = field(default_factory=list)
    sends: list[Meanwhile] = field(default_factory=list)
    pages: list[Figures] = field(default_factory=list)
    storm: list[Meanwhile] = field(default_factory=list)
    """Polls and sends, each quiet and then beside a crowd."""
    crowd: dict[str, int] = field(default_factory=dict)
    """What that crowd was answered, by status."""
    first_ms: float = 0.0
    """The CPU time of a web worker's very first page from cold storage."""
    sizes: list[dict[str, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Results:
    """All that a run found out."""

    main: dict[str, Figures] = field(default_factory=dict)
    by_messages: dict[int, dict[str, Figures]] = field(default_factory=dict)
    by_chats: dict[int, Figures] = field(default_factory=dict)
    writers: Figures | None = None
    memory: list[tuple[int, float, float]] = field(default_factory=list)
    """(requests of a worker, resident MB, proportional MB) of the largest web worker."""
    cold: ColdResults | None = None
    problems: list[str] = field(default_factory=list)
