"""CPU time of server processes, from what the operating system counts for each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import psutil

Family = Callable[[], Iterable[psutil.Process]]
COUNTED = ("web", "postgres", "valkey")
# What every request costs before it comes to us: figures are said with it and without.
BEFORE = "proxy"
ASIDE = (BEFORE, "sweeper", "worker", "beat", "s3")


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU seconds by part."""

    parts: Mapping[str, float]

    def since(self, earlier: Cpu) -> dict[str, float]:
        """Return the milliseconds that each part has used since an earlier reading."""
        return {name: 1000 * (used - earlier.parts[name]) for name, used in self.parts.items()}


class Meter:
    """Reads the CPU time of the parts of a stack.

    A part's time is that of its processes and of those of their children that have ended. What
    PostgreSQL does for the sweeper, the worker and the bench itself is not the requests' doing: it
    goes to the part `aside`, found by the ports that those connect from.
    """

    def __init__(
        self,
        families: Mapping[str, Family],
        strangers: Family = list,
        backends: Callable[[], Mapping[int, int]] = dict,
    ) -> None:
        """Take each part's processes, those whose backends are set aside, and port -> backend."""
        self._families = families
        self._strangers = strangers
        self._backends = backends

    def read(self) -> Cpu:
        """Return the CPU seconds used so far."""
        aside = self._aside()
        parts = {}
        for name, family in self._families.items():
            parts[name] = 0.0
            for process in family():
                used = _seconds(process)
                target = "aside" if process.pid in aside else name
                parts[target] = parts.get(target, 0.0) + used
        parts.setdefault("aside", 0.0)
        return Cpu(parts)

    def _aside(self) -> set[int]:
        ports = set()
        for process in self._strangers():
            with contextlib.suppress(psutil.Error):
                ports |= {one.laddr.port for one in process.net_connections("tcp")}
        return {pid for port, pid in self._backends().items() if port in ports}


def _seconds(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def memory(process: psutil.Process) -> tuple[float, float]:
    """Return a process's resident and proportional megabytes."""
    used = process.memory_full_info()
    return used.rss / 1024**2, getattr(used, "pss", used.uss) / 1024**2
