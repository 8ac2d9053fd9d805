"""`python -m scripts.bench.against REV`: this checkout beside another commit, measured in turn.

Both are served at once, each by a stack of its own, and every kind of work is measured on one, then
on the other, round after round. So whatever else the machine does meets both alike, and the ratio
of the two holds where milliseconds would not.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from config.options import BASE_DIR
from scripts.bench.meter import COUNTED
from scripts.bench.run import CONSTANT, LIMITS_ON

AT_MOST = 1.05
SIDE = Path(__file__).with_name("side.py")


class Side:
    """One of the two, in a process of its own."""

    def __init__(self, checkout: Path, settings: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SIDE), str(checkout), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=checkout,
        )
        self.cpu: dict[str, list[dict[str, float]]] = {}
        self.problems: list[str] = []

    def works(self) -> list[str]:
        """Return what it can be asked for, once it is filled."""
        found: list[str] = self._read()["works"]
        return found

    def measure(self, work: str, seconds: float) -> None:
        """Measure once."""
        if self._process.stdin is None:
            raise RuntimeError("a side without a standard input")
        self._process.stdin.write(json.dumps({"work": work, "seconds": seconds}) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        self.cpu.setdefault(work, []).append(answer["cpu"])
        self.problems += answer["problems"]

    def total(self, work: str, parts: Sequence[str] = COUNTED) -> list[float]:
        """Return the CPU-ms of a request in each round, over some parts."""
        return [sum(one.get(part, 0.0) for part in parts) for one in self.cpu[work]]

    def stop(self) -> None:
        """End it, and everything that it started."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError("one side has ended; what it said stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer


def main() -> int:
    """Compare; return 0 when all answers were sound and no work takes more than 5 % more."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench.against",
        description="CPU time of each kind of request here, as a ratio to another commit's.",
    )
    parser.add_argument("revision", help="the commit to compare with")
    parser.add_argument("works", nargs="*", help="parts of titles of what to measure; else all")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument(
        "--no-limits", action="store_true", help="leave out counting for the limits of requests"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="here")
    arguments = parser.parse_args()
    settings = {} if arguments.no_limits else dict(LIMITS_ON)
    settings |= dict(one.split("=", 1) for one in arguments.set)
    with tempfile.TemporaryDirectory(prefix="strata-against-") as name:
        there = Path(name)
        there.chmod(0o711)
        _check_out(arguments.revision, there)
        sides = [Side(there, {}), Side(BASE_DIR, settings)]
        try:
            works = [*sides[0].works()]
            sides[1].works()
            works = [
                work
                for work in works
                if not arguments.works or any(part in work for part in arguments.works)
            ]
            _measure(sides, [CONSTANT, *works], arguments.rounds, arguments.seconds)
        except KeyboardInterrupt:
            return 130
        finally:
            for side in sides:
                side.stop()
    return _report(sides, works, arguments.revision)


def _check_out(revision: str, folder: Path) -> None:
    """Put a commit's files into a folder, on this checkout's Python and packages."""
    archive = subprocess.run(
        ["git", "archive", revision], cwd=BASE_DIR, stdout=subprocess.PIPE, check=True
    )
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    (folder / ".venv").symlink_to((BASE_DIR / ".venv").resolve())


def _measure(sides: Sequence[Side], works: Sequence[str], rounds: int, seconds: float) -> None:
    for turn in range(rounds):
        for work in works:
            sys.stderr.write(f"round {turn + 1} of {rounds}: {work}\n")
            # Who comes first is who meets what the other left; so they take turns.
            for side in sides if turn % 2 else reversed(sides):
                side.measure(work, seconds)


def _report(sides: Sequence[Side], works: Sequence[str], revision: str) -> int:
    there, here = sides
    table = Table(title=f"CPU-ms per request: {revision}, this checkout, and the ratio")
    for column in ("request", revision, "here", "ratio", "from", "to", *COUNTED):
        table.add_column(column, justify="left" if column == "request" else "right")
    dearer = []
    for work in (CONSTANT, *works):
        pairs = list(zip(there.total(work), here.total(work), strict=True))
        # Of rounds, as neighbours in time are alike.
        ratios = sorted(after / before for before, after in pairs)
        ratio = statistics.median(ratios)
        if ratio > AT_MOST and work != CONSTANT:
            dearer.append(work)
        parts = [
            statistics.median(here.total(work, [part]))
            - statistics.median(there.total(work, [part]))
            for part in COUNTED
        ]
        table.add_row(
            work,
            *(f"{statistics.median(column):.3f}" for column in zip(*pairs, strict=True)),
            f"{ratio:.3f}",
            f"{ratios[0]:.3f}",
            f"{ratios[-1]:.3f}",
            *(f"{part:+.3f}" for part in parts),
        )
    Console(width=130).print(table)
    problems = [*there.problems, *here.problems]
    for problem in problems:
        sys.stdout.write(f"problem: {problem}\n")
    for work in dearer:
        sys.stdout.write(f"more than {AT_MOST - 1:.0%} dearer: {work}\n")
    return 1 if problems or dearer else 0


if __name__ == "__main__":
    sys.exit(main())
