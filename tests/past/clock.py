"""A clock that is set by hand, for every process that is started with its environment."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path


class Clock:
    """The wall clock of some processes, by libfaketime; their monotonic clocks stay true.

    It only ever moves forward. Its file must be readable for each of them: who can't read it goes
    by the true time. What is linked statically, such as the S3 server, keeps the
    machine's own clock.
    """

    def __init__(self, folder: Path, start: datetime) -> None:
        self._file = folder / "clock"
        # Readable for the user that PostgreSQL runs as, wherever the virtual environment lies.
        self._library = folder / "libfaketime.so.1"
        self._library.write_bytes(library().read_bytes())
        self._library.chmod(0o755)
        self._behind = timedelta.max
        self._set(start)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that put a process under this clock."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "0",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def now(self) -> datetime:
        """Return what it shows."""
        return datetime.now(UTC) - self._behind

    def move(self, to: datetime) -> None:
        """Move it forward, and return once every process goes by it."""
        assert to > self.now(), f"{to} is past already: it is {self.now()}"
        self._set(to)
        # A process reads the file again with the first look at its clock in each new second.
        time.sleep(1.005 - time.time() % 1)

    def next_hour(self, minute: float = 10.0) -> datetime:
        """Move it to some minutes past the next full hour; return that hour."""
        hour = self.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        self.move(hour + timedelta(minutes=minute))
        return hour

    def catch_up(self) -> None:
        """Let it show the true time from now on."""
        self.move(datetime.now(UTC) - timedelta(milliseconds=1))

    def _set(self, to: datetime) -> None:
        behind = datetime.now(UTC) - to
        assert behind <= self._behind, "a clock of the past only moves forward"
        self._behind = behind
        scratch = self._file.with_suffix(".new")
        scratch.write_text(f"{-behind.total_seconds():+.6f}\n", encoding="ascii")
        scratch.chmod(0o644)
        scratch.replace(self._file)


def library() -> Path:
    """Return the shared library that the wheel brings."""
    # Not imported: the package wants to start us anew.
    spec = find_spec("libfaketime")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
