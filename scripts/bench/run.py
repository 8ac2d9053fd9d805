"""One run of the bench: a stack of its own, the floors beside it, and every measurement."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from environs import Env

from config import options
from config.stack.folder import some_free_port
from config.stack.live import LiveStack
from config.stack.process import Process, Program
from config.stack.units import Sizes, application_units, probe_web
from scripts.bench import load
from scripts.bench.archive import ColdBench
from scripts.bench.figures import Figures, Results
from scripts.bench.load import Expected, Outcome, Request
from scripts.bench.meter import ASIDE, COUNTED, Meter, memory
from scripts.bench.scale import ColdScale, Scale, Scenario

if TYPE_CHECKING:
    from scripts.bench.world import World

Say = Callable[[str], None]
# Of the polls and pages so many may be served by another tier than the measured one.
ELSEWHERE = 0.01
TRIES = 3
FLOOR = Expected(200, '{"floor":true}', 1)
# Counted, never reached: what a limit costs is that it is looked at.
LIMITS_ON = {"LIMIT_FREE_ADDRESSES": "none"} | {
    option.name: "10000000"
    for option in options.SECTIONS.get("Limits", ())
    if option.name.startswith("LIMIT_") and option.kind == "int"
}
CONSTANT, ROUND_TRIP = "a view that returns a constant", "one round trip to Valkey"


class Bench:
    """Measures; `problems` says what a server did that makes its speed worthless."""

    def __init__(
        self,
        folder: Path,
        scale: Scale,
        say: Say,
        *,
        only_main: bool = False,
        cold: ColdScale | None = None,
        only_cold: bool = False,
    ) -> None:
        """Take how much to measure; `cold` says how much of the archive, if anything."""
        self._folder = folder
        self._scale = scale
        self._say = say
        self._only_main = only_main
        self._cold = cold
        self._only_cold = only_cold
        sizes = (options.WEB_WORKERS.name, options.WEB_THREADS.name)
        self._stack = LiveStack(
            folder / "data",
            some_free_port(),
            LIMITS_ON | {name: os.environ[name] for name in sizes if os.environ.get(name)},
        )
        self._floors_port = some_free_port((self._stack.port,))
        self._served = 0
        self.results = Results()

    def run(self) -> Results:
        """Start everything, fill it, measure, and stop everything."""
        with ExitStack() as stack:
            self._say("starting a stack of its own")
            stack.enter_context(self._stack)
            os.environ |= self._stack.environment()
            os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
            # Ours alone: filling takes longer than a request may.
            os.environ[options.DB_TRANSACTION_TIMEOUT_MS.name] = "0"
            import django  # noqa: PLC0415 - the stack's settings are known only now

            django.setup(set_prefix=False)
            if not self._only_cold:
                stack.enter_context(self._floors())
                self._measure()
            if self._cold is not None:
                cold = ColdBench(self._folder, self._stack, self._cold, self._say)
                self.results.cold = cold.measure()
                self.results.problems += cold.results.problems
        return self.results

    def _measure(self) -> None:
        # Both need Django set up.
        from scripts.bench import fill  # noqa: PLC0415
        from scripts.bench.world import World  # noqa: PLC0415
        from scripts.demo.client import Server  # noqa: PLC0415

        self._last_message_id, self._messages_after = fill.last_message_id, fill.messages_after
        self._settle = fill.settle
        world = World(Server(self._stack.base_url, threads=16), self._scale)
        self._meter = Meter(
            {
                name: lambda name=name: self._stack.family(name)  # type: ignore[misc]
                for name in (*COUNTED, *ASIDE)
            },
            lambda: [
                psutil.Process(),
                *(
                    one
                    for name in ("sweeper", "worker", "beat")
                    for one in self._stack.family(name)
                ),
            ],
            fill.backends,
        )
        self._say("filling it")
        main = list(world.main())
        fill.settle()
        self._note_memory()
        self._main(main)
        if self._only_main:
            return
        self._growth(world)
        self._many_writers(world.writers())
        self._memory(main)

    # The measurements ----------------------------------------------------------------------------

    def _main(self, scenarios: Sequence[Scenario]) -> None:
        found = self.results.main
        floors = {CONSTANT: "/constant", ROUND_TRIP: "/valkey"}
        for turn in range(self._scale.rounds):
            for title, path in floors.items():
                self._say(f"round {turn + 1} of {self._scale.rounds}: {title}")
                figures = found.setdefault(title, Figures(title))
                self._floor(figures, Request("GET", path))
            for scenario in scenarios:
                self._say(f"round {turn + 1} of {self._scale.rounds}: {scenario.title}")
                figures = found.setdefault(
                    scenario.title,
                    Figures(
                        scenario.title,
                        scenario.most_ms,
                        scenario.most_ratio,
                        scenario.most_polls,
                    ),
                )
                self._one(figures, scenario, self._scale.seconds)

    def _growth(self, world: World) -> None:
        self._say(f"filling chats with up to {max(self._scale.sizes):,} messages")
        sizes = list(world.by_messages())
        self._say(f"giving users up to {max(self._scale.counts)} chats")
        counts = list(world.by_chats())
        self._settle()
        for turn in range(self._scale.growth_rounds):
            self._say(f"growth, round {turn + 1} of {self._scale.growth_rounds}")
            # Size by size within each kind, so that neighbours in time are what is compared.
            for place in range(max(len(scenarios) for _, scenarios in sizes)):
                for size, scenarios in sizes:
                    title = [one.title for one in sizes[-1][1]][place]
                    for scenario in scenarios:
                        if scenario.title == title:
                            row = self.results.by_messages.setdefault(size, {})
                            figures = row.setdefault(title, Figures(title))
                            self._one(figures, scenario, self._scale.growth_seconds)
            for number, scenario in counts:
                figures = self.results.by_chats.setdefault(number, Figures(scenario.title))
                self._one(figures, scenario, self._scale.growth_seconds)

    def _many_writers(self, scenario: Scenario) -> None:
        self._say(scenario.title)
        self.results.writers = Figures(scenario.title)
        for _ in range(self._scale.growth_rounds):
            self._one(self.results.writers, scenario, self._scale.seconds)

    def _memory(self, scenarios: Sequence[Scenario]) -> None:
        """Go on until every worker has served so many requests, and half as many again."""
        for more in (0, self._scale.memory_requests // 2):
            most = max(self._scale.memory_requests, min(self._worker_requests()) + more)
            self._say(f"requests until each web worker has served {most:,.0f}")
            while min(self._worker_requests()) < most:
                for scenario in scenarios:
                    self._one(Figures(scenario.title), scenario, 1, connections=32)
            self._note_memory(min(self._worker_requests()))

    # One measurement -----------------------------------------------------------------------------

    def _floor(self, figures: Figures, request: Request) -> None:
        file = self._folder / "requests"
        load.write(file, [request])
        meter = Meter(
            {
                "web": self._floor_process.family,
                "postgres": list,
                "valkey": lambda: self._stack.family("valkey"),
            }
        )
        url = f"http://127.0.0.1:{self._floors_port}"
        before = meter.read()
        outcome = load.run(url, file, FLOOR, seconds=self._scale.seconds)
        used = meter.read().since(before)
        self._note(figures, outcome, used)

    def _one(
        self, figures: Figures, scenario: Scenario, seconds: float, connections: int = 0
    ) -> None:
        """Measure once; again when a busy machine made another tier answer, which is no figure."""
        for _ in range(TRIES):
            outcome, used = self._try(scenario, seconds, connections or scenario.connections)
            if outcome.elsewhere <= ELSEWHERE * outcome.requests:
                break
        self._note(figures, outcome, used)

    def _try(
        self, scenario: Scenario, seconds: float, connections: int
    ) -> tuple[Outcome, dict[str, float]]:
        file = self._folder / "requests"
        load.write(file, scenario.requests)
        newest = self._last_message_id() if scenario.sends else 0
        before = self._meter.read()
        outcome = load.run(
            self._stack.base_url,
            file,
            scenario.expected,
            seconds=seconds,
            connections=connections,
        )
        used = self._meter.read().since(before)
        self._served += outcome.requests
        if scenario.sends:
            # The generator does not count what was under way when it stopped.
            added = self._messages_after(newest)
            if not outcome.requests <= added <= outcome.requests + 4 * connections:
                self.results.problems.append(
                    f"{scenario.title}: {outcome.requests} sends were answered, and {added} "
                    "messages are in the database"
                )
        return outcome, used

    def _note(self, figures: Figures, outcome: Outcome, used: dict[str, float]) -> None:
        requests = max(outcome.requests, 1)
        figures.outcomes.append(outcome)
        figures.cpu.append({name: spent / requests for name, spent in used.items()})
        if outcome.wrong or outcome.errors or not outcome.requests:
            self.results.problems.append(
                f"{figures.title}: {outcome.wrong} wrong answers, {outcome.errors} errors in "
                f"{outcome.requests} requests {outcome.example}".rstrip()
            )
        if outcome.elsewhere > ELSEWHERE * requests:
            self.results.problems.append(
                f"{figures.title}: {outcome.elsewhere} of {outcome.requests} answers came from "
                "another tier"
            )

    # Processes -----------------------------------------------------------------------------------

    def _workers(self) -> list[psutil.Process]:
        return self._stack.workers()

    def _worker_requests(self) -> list[float]:
        """Return about how many requests each worker has served, by its share of the CPU time."""
        used = [sum(one.cpu_times()[:2]) for one in self._workers()]
        return [self._served * seconds / sum(used) for seconds in used]

    def _note_memory(self, requests: float = 0) -> None:
        largest = max((memory(one) for one in self._workers()), default=(0.0, 0.0))
        self.results.memory.append((round(requests), *largest))

    @contextmanager
    def _floors(self) -> Iterator[None]:
        """Serve the floors as the stack serves Strata: same server, same flags."""
        env = Env()
        sizes = Sizes(
            host="127.0.0.1",
            port=self._floors_port,
            web_workers=options.WEB_WORKERS.read(env),
            web_threads=options.WEB_THREADS.read(env),
            worker_concurrency=1,
            log_level="WARNING",
        )
        units = application_units(self._stack.environment(), sizes, ())
        web = next(unit for unit in units if unit.name == "web").program()
        if web is None:
            raise RuntimeError("the stack has no web server")
        program = Program(
            "floors",
            [sys.executable, "-m", "scripts.bench.serve_floors"],
            folder=options.BASE_DIR,
            environment=web.environment,
        )
        log = os.open(self._folder / "floors.output", os.O_WRONLY | os.O_CREAT, 0o600)
        self._floor_process = Process(program, output=log)
        os.close(log)
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    probe_web("127.0.0.1", self._floors_port)
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        sys.stderr.write((self._folder / "floors.output").read_text())
                        raise
                    time.sleep(0.1)
            yield
        finally:
            self._floor_process.stop()
