"""The archive's rows: backup, restore, trim, purge, pages from cold storage, and sends meanwhile.

On emptied tables, with beat frozen; runs keep few messages of a chat in the database, so that there
is something to trim. A run is a process; one that senders meet stands back as the worker does.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from config import options
from config.process import NICENESS
from config.stack.live import LiveStack
from config.stack.process import Process, Program
from config.stack.server import clean_environment
from scripts.bench import load
from scripts.bench.figures import ColdResults, Figures, Meanwhile, Run
from scripts.bench.load import Expected, Outcome, Request
from scripts.bench.meter import COUNTED, Meter
from scripts.bench.scale import ColdScale
from scripts.bench.storm import Storm

KEPT = 50
SENDERS = 2
"""Connections that send meanwhile: about half of what two cores can take."""
CYCLED_CHATS, CYCLED_HOURS = 50, 4
PAUSE = 0.05
BUSY, TRIES = 503, 5


class ColdBench:
    """Measures; needs Django set up on the stack that `stack` started."""

    def __init__(
        self, folder: Path, stack: LiveStack, scale: ColdScale, say: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._scale = scale
        self._say = say
        self.stack = stack
        self.results = ColdResults()

    def measure(self) -> ColdResults:
        """Fill, measure every row, and return what was found."""
        from scripts.bench import fill  # noqa: PLC0415 - needs Django set up
        from scripts.bench.cold import cold_chats, empty  # noqa: PLC0415

        self.stack.pause("beat")
        empty()
        self._fill, self._cold_chats = fill, cold_chats
        self._meter = Meter(
            {
                name: lambda name=name: self.stack.family(name)  # type: ignore[misc]
                for name in ("s3", "postgres", "valkey", "web")
            }
        )
        self._idle = self._run("a run with nothing to do", "backup").cpu["run"]
        self.results.runs.clear()
        scale = self._scale
        if scale.cycles:
            self._cycles()
            return self.results
        if scale.large:
            self._large()
            return self.results
        self._say("filling chats of some hours ago")
        people = fill.people(2 * scale.chats)
        pairs = list(zip(people[::2], people[1::2], strict=True))
        chats = cold_chats(pairs, hours=scale.hours, messages=50, ago=scale.hours + 60)
        fill.settle()
        self._run("backup", "backup")
        self._restore()
        self._run("trim", "trim")
        self._pages(pairs, chats)
        self._meanwhile()
        return self.results

    # Rows ----------------------------------------------------------------------------------------

    def _restore(self) -> None:
        from archive.drill import scratch_database  # noqa: PLC0415

        with scratch_database() as name:
            url = os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}"
            other = {"DATABASE_URL": url}
            self._run("migrate", "migrate", environment=other, shown=False)
            self._run("restore", "restore", "--all", environment=other)

    def _pages(self, pairs: Sequence[Any], chats: Sequence[Any]) -> None:
        from scripts.bench.world import page  # noqa: PLC0415

        self._say("pages from cold storage")
        expected = Expected(200, '"seq":', 50, "archive")
        before = range(51, 50 * (self._scale.hours - 1), 50)
        requests = [
            page(person, chat, seq)
            for seq in before
            for pair, chat in zip(pairs, chats, strict=True)
            for person in pair
        ][: self._scale.pages + 1]
        # What a web worker's first request of any kind takes, 40 ms, is not cold storage's.
        latest = [
            page(pair[0], chat, 50 * self._scale.hours + 1)
            for pair, chat in zip(pairs[:20], chats, strict=False)
        ]
        self._once(latest, Expected(200, '"seq":', 50, "database"))
        used = self._once(requests[:1], expected)
        self.results.first_ms = sum(used[part] for part in COUNTED)
        first = Figures("page of 50, cold storage, first")
        for place in range(1, len(requests), max(1, len(requests) // 4)):
            some = requests[place : place + max(1, len(requests) // 4)]
            used = self._once(some, expected)
            first.cpu.append({name: spent / len(some) for name, spent in used.items()})
        again = Figures("page of 50, cold storage, again")
        file = self._folder / "requests"
        load.write(file, requests)
        for _ in range(3):
            before_ = self._meter.read()
            outcome = load.run(self.stack.base_url, file, expected, seconds=self._scale.seconds / 2)
            used = self._meter.read().since(before_)
            self._note(again.title, outcome)
            again.outcomes.append(outcome)
            again.cpu.append(
                {name: spent / max(outcome.requests, 1) for name, spent in used.items()}
            )
        self.results.pages += [first, again]
        storm = Storm(self._folder, self.stack, self._say)
        self.results.storm = storm.measure(requests, self._scale.seconds)
        self.results.crowd = storm.answers
        self.results.problems += storm.problems

    def _once(self, requests: Sequence[Request], expected: Expected) -> dict[str, float]:
        """Send each request once; return the CPU-milliseconds of each part."""
        import urllib3  # noqa: PLC0415

        pool = urllib3.PoolManager(maxsize=4, retries=False)

        def one(request: Request) -> None:
            for _ in range(TRIES):
                answer = pool.request(
                    request.method, self.stack.base_url + request.path,
                    headers={"Authorization": f"Bearer {request.token}"},
                )  # fmt: skip
                if answer.status != BUSY:
                    break
                time.sleep(float(answer.headers.get("Retry-After", 1)))
            text = answer.data.decode()
            if answer.status != expected.status or text.count(expected.needle) != expected.times:
                self.results.problems.append(f"a cold page: {answer.status} {text[:200]}")
            elif answer.headers.get("X-Served-From") != expected.tier:
                self.results.problems.append(f"a page did not come from tier {expected.tier}")

        before = self._meter.read()
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(one, requests))
        return self._meter.read().since(before)

    def _meanwhile(self) -> None:
        """Measure sends without and with each run; the runs do the same work as in quiet."""
        from scripts.bench.world import SENT, send  # noqa: PLC0415

        scale = self._scale
        self._say("filling chats for the runs that senders meet")
        people = self._fill.people(2 * scale.busy_chats)
        pairs = list(zip(people[::2], people[1::2], strict=True))
        self._cold_chats(pairs, hours=2, messages=50, ago=50)
        senders = self._fill.people(200)
        ring = [(one, senders[place - 1]) for place, one in enumerate(senders)]
        self._fill.private_chats(ring, 3)
        self._fill.settle()
        file = self._folder / "requests"
        load.write(file, [send(*one) for one in ring])

        def sends(seconds: float) -> Outcome:
            return load.run(self.stack.base_url, file, SENT, seconds=seconds, connections=SENDERS)

        sends(1)
        retention = {options.ARCHIVE_RETENTION_DAYS.name: "1"}
        for title, command, environment in (
            ("backup", "backup", {}), ("trim", "trim", {}), ("purge", "purge", retention),
        ):  # fmt: skip
            self._say(f"sends without and during {title}")
            self._meet(f"without {title}", sends(scale.seconds), covered=True)
            process, output = self._start_as_worker(command, "--json", environment=environment)
            # What it loads at its start is no part of it.
            time.sleep(1.0)
            outcome = sends(scale.seconds)
            covered = process.status() is None
            self._meet(f"during {title}", outcome, covered=covered)
            while process.status() is None:
                time.sleep(PAUSE)
            self._report(output)
        self._meet("without any", sends(scale.seconds), covered=True)

    def _meet(self, title: str, outcome: Outcome, *, covered: bool) -> None:
        self._note(title, outcome)
        self.results.sends.append(Meanwhile(title, outcome, covered))

    def _note(self, title: str, outcome: Outcome) -> None:
        if outcome.wrong or outcome.errors or not outcome.requests:
            self.results.problems.append(
                f"{title}: {outcome.wrong} wrong answers, {outcome.errors} errors {outcome.example}"
            )

    def _cycles(self) -> None:
        """Have chats go on, back up and trim again and again; note the tables' sizes each time."""
        from scripts.bench.cold import more_messages, sizes  # noqa: PLC0415

        people = self._fill.people(2 * CYCLED_CHATS)
        pairs = list(zip(people[::2], people[1::2], strict=True))
        ago = CYCLED_HOURS * (self._scale.cycles + 1) + 10
        chats = self._cold_chats(pairs, hours=1, messages=KEPT, ago=ago)
        for cycle in range(self._scale.cycles):
            self._say(f"cycle {cycle + 1} of {self._scale.cycles}")
            more_messages(chats, hours=CYCLED_HOURS, messages=50)
            self._run("backup", "backup")
            self._run("trim", "trim")
            # As long as autovacuum takes to look again; in earnest an hour passes.
            time.sleep(self._scale.seconds)
            self.results.sizes.append(sizes())

    def _large(self) -> None:
        """Back up so many messages in many chats, and a chat of a million in one hour."""
        scale = self._scale
        people = self._fill.people(2 * 1001)
        pairs = list(zip(people[::2], people[1::2], strict=True))
        million = min(1_000_000, scale.large // 2)
        self._say(f"filling {scale.large:,} messages")
        self._cold_chats(pairs[:1], hours=1, messages=million, ago=50)
        each = max(1, (scale.large - million) // 1000 // 4)
        self._cold_chats(pairs[1:], hours=4, messages=each, ago=49)
        self._fill.settle()
        for title in ("backup", "trim"):
            self._run(title, title)
        self._restore()

    # Runs ----------------------------------------------------------------------------------------

    def _run(
        self, title: str, *arguments: str, environment: Mapping[str, str] | None = None,
        shown: bool = True,
    ) -> Run:  # fmt: skip
        """Run a command to its end and measure it."""
        self._say(title)
        before = self._meter.read()
        started, most, used = time.monotonic(), 0.0, 0.0
        json_too = ("--json",) if shown else ()
        process, output = self._start(*arguments, *json_too, environment=environment or {})
        watched = psutil.Process(process.pid)
        while process.status() is None:
            try:
                used = max(used, sum(watched.cpu_times()[:2]))
                most = max(most, watched.memory_info().rss / 1024**2)
            except psutil.Error:
                break
            time.sleep(PAUSE)
        while process.status() is None:
            time.sleep(PAUSE)
        cpu = {name: spent / 1000 for name, spent in self._meter.read().since(before).items()}
        cpu["run"] = max(used - getattr(self, "_idle", 0.0), 0.0)
        seconds = time.monotonic() - started
        report = self._report(output) if shown else {}
        run = Run(title, report, cpu, float(report.get("seconds", seconds)), most)
        if shown:
            self.results.runs.append(run)
        return run

    def _start(self, *arguments: str, environment: Mapping[str, str]) -> tuple[Process, Path]:
        path = self._folder / f"{arguments[0]}.output"
        program = Program(
            arguments[0],
            [sys.executable, "-m", "config.process", "manage", *arguments],
            folder=options.BASE_DIR,
            environment={
                **clean_environment(), **self.stack.environment(), "MALLOC_ARENA_MAX": "2",
                options.DB_MESSAGES_PER_CHAT.name: str(KEPT), **environment,
            },
        )  # fmt: skip
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            process = Process(program, output=descriptor)
        finally:
            os.close(descriptor)
        return process, path

    def _start_as_worker(
        self, *arguments: str, environment: Mapping[str, str]
    ) -> tuple[Process, Path]:
        """Start a command that stands back as the worker does (`config.process.stand_back`)."""
        process, path = self._start(*arguments, environment=environment)
        os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        Path(f"/proc/{process.pid}/autogroup").write_text(str(NICENESS), encoding="ascii")
        return process, path

    def _report(self, output: Path) -> dict[str, Any]:
        text = output.read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line.startswith("{")]
        report: dict[str, Any] = json.loads(lines[-1]) if lines else {"ok": False}
        if not report["ok"]:
            self.results.problems.append(f"a run failed: {text[-500:]}")
        return report
