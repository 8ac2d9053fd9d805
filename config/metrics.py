"""What /metrics tells Prometheus: counts of all web workers, and the state of what they use.

Nothing is kept up to date for it but the counts of `config/counting.py`; the rest is asked when the
page is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from config import health
from config.counting import FOLDER

_OWN = CollectorRegistry()
REQUESTS = Counter(
    "strata_requests", "Requests answered, by route.", ["route", "status"], registry=_OWN
)
SECONDS = Counter(
    "strata_request_seconds", "Time spent on them, in seconds, by route.", ["route"], registry=_OWN
)


class Asked(Collector):
    """What is asked when the page is."""

    def collect(self) -> Iterator[Metric]:
        """Yield the dependencies' state, the tables' size and the workers' use of the machine."""
        found = health.answers(health.DATABASE, health.CACHE, health.OBJECT_STORE)
        up = GaugeMetricFamily(
            "strata_up", "Whether a dependency answers: 1 or 0.", labels=["dependency"]
        )
        seconds = GaugeMetricFamily(
            "strata_answer_seconds", "How long its answer took.", labels=["dependency"]
        )
        for name, answer in found.items():
            up.add_metric([name], float(answer.ok))
            if answer.ok and answer.seconds is not None:
                seconds.add_metric([name], answer.seconds)
        yield up
        yield seconds
        age = found["cache"].facts.get("sweeper_age")
        if age is not None:
            yield GaugeMetricFamily(
                "strata_sweeper_age_seconds",
                "How long ago the sweeper last vouched for the cache.",
                value=age,
            )
        rows = GaugeMetricFamily(
            "strata_rows",
            "Rows of a table, as PostgreSQL estimates them; nothing is counted.",
            labels=["table"],
        )
        for name, count in found["database"].facts.items():
            rows.add_metric([name], count)
        yield rows
        yield from _workers()


def _workers() -> Iterator[Metric]:
    memory = GaugeMetricFamily(
        "strata_worker_resident_bytes", "Memory of a web worker.", labels=["pid"]
    )
    cpu = CounterMetricFamily(
        "strata_worker_cpu_seconds", "CPU time of a web worker.", labels=["pid"]
    )
    started = GaugeMetricFamily(
        "strata_worker_start_time_seconds", "When it started, since 1970.", labels=["pid"]
    )
    threads = GaugeMetricFamily("strata_worker_threads", "Its threads.", labels=["pid"])
    for pid in sorted(_pids()):
        try:
            worker = psutil.Process(pid)
            with worker.oneshot():
                used = worker.cpu_times()
                figures = (
                    used.user + used.system,
                    worker.memory_info().rss,
                    worker.create_time(),
                    worker.num_threads(),
                )
        except psutil.Error:
            continue
        for family, figure in zip((memory, started, threads), figures[1:], strict=True):
            family.add_metric([str(pid)], figure)
        cpu.add_metric([str(pid)], figures[0])
    yield from (memory, cpu, started, threads)


def _pids() -> set[int]:
    """Return the living web workers that have answered something, this one at least."""
    pids = {os.getpid()}
    if folder := os.environ.get(FOLDER):
        for path in Path(folder).glob("counter_*.db"):
            pid = path.stem.partition("_")[2]
            if pid.isdecimal() and psutil.pid_exists(int(pid)):
                pids.add(int(pid))
    return pids


def text() -> bytes:
    """Return the page."""
    registry = _OWN
    if folder := os.environ.get(FOLDER):
        registry = CollectorRegistry()
        MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    asked = CollectorRegistry()
    asked.register(Asked())
    return generate_latest(registry) + generate_latest(asked)
