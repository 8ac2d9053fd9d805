"""What /metrics tells Prometheus: counts of all web workers, and the state of what they use.

The counts are those of `common/counts.py`; the rest is asked when the page is, by probes whose
answers serve for a while (`config/health.py`, `config/figures.py`). Whatever is away is left out.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import django
import psutil
from django.conf import settings
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector

from common import counts
from config import catalogue, counting, figures, health
from config.catalogue import Figure

DAY_SECONDS = 86_400
SOURCES = (figures.SERVER, figures.PEOPLE, figures.COLD, figures.KEPT)
Samples = Iterable[tuple[tuple[str, ...], Any]]


def family(figure: Figure, samples: Samples) -> Metric:
    """Return a figure with its samples: values of labels and a number each; None is left out."""
    kind = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
    found = kind(figure.name, figure.text, labels=figure.labels)
    for labels, value in samples:
        if value is not None:
            found.add_metric(labels, float(value))
    return found


def one(figure: Figure, value: Any) -> Metric:
    """Return a figure that has no labels."""
    return family(figure, [((), value)])


def several(named: Mapping[str, Figure], facts: Mapping[str, Any]) -> Iterator[Metric]:
    """Yield those figures that the facts have something for."""
    for key, figure in named.items():
        if facts.get(key) is not None:
            yield one(figure, facts[key])


class Counted(Collector):
    """What the web workers have counted."""

    def collect(self) -> Iterator[Metric]:
        """Yield every counter and histogram that is declared."""
        found: dict[str, list[tuple[tuple[str, ...], list[float]]]] = {}
        for (name, labels), values in sorted(counts.total(counting.own_folder()).items()):
            found.setdefault(name, []).append((labels, values))
        for name, declared in counts.DECLARED.items():
            samples = found.get(name, [])
            if isinstance(declared, counts.Counter):
                figure = Figure(name, declared.text, declared.labels)
                yield family(figure, ((labels, values[0]) for labels, values in samples))
            else:
                yield _histogram(declared, samples)


def _histogram(declared: counts.Histogram, samples: Samples) -> Metric:
    found = HistogramMetricFamily(declared.name, declared.text, labels=declared.labels)
    names = [*map(str, map(float, declared.bounds)), "+Inf"]
    for labels, (total, *numbers) in samples:
        if len(numbers) != len(names):
            continue
        so_far = 0.0
        buckets = []
        for name, number in zip(names, numbers, strict=True):
            so_far += number
            buckets.append((name, so_far))
        found.add_metric(labels, buckets, total)
    return found


class Asked(Collector):
    """What is asked when the page is."""

    def collect(self) -> Iterator[Metric]:
        """Yield the dependencies' state, and the figures of what can be asked."""
        probes = (health.DATABASE, health.CACHE, health.OBJECT_STORE)
        found = health.answers(*probes, *SOURCES)
        states = {probe.name: found[probe.name] for probe in probes}
        yield family(catalogue.UP, (((name,), one.ok) for name, one in states.items()))
        yield family(
            catalogue.ANSWER, (((name,), one.seconds) for name, one in states.items() if one.ok)
        )
        yield family(catalogue.SEEN, (((name,), one.good_at) for name, one in states.items()))
        yield family(
            catalogue.FIGURES_UP, (((probe.name,), found[probe.name].ok) for probe in SOURCES)
        )
        yield family(
            catalogue.ROWS, (((name,), rows) for name, rows in found["database"].facts.items())
        )
        ages = {
            name: found["cache"].facts.get(f"{name}_age") for name in ("sweeper", "worker", "beat")
        }
        if ages["sweeper"] is not None:
            yield one(catalogue.SWEEPER, ages["sweeper"])
        yield family(catalogue.HEARTBEAT, (((name,), age) for name, age in ages.items()))
        yield from _server(found["server"].facts)
        yield from _cold(found["cold"])
        yield from several(catalogue.PEOPLE, found["people"].facts)
        yield from _kept(found["kept"].facts)
        yield from _workers()
        version = str(settings.SPECTACULAR_SETTINGS["VERSION"])
        labels = (version, platform.python_version(), django.get_version())
        yield family(catalogue.BUILD, [(labels, 1)])


def _server(facts: Mapping[str, Any]) -> Iterator[Metric]:
    if not facts:
        return
    yield from several(catalogue.SERVER, facts)
    states = facts["connections"] or {}
    yield family(catalogue.CONNECTIONS, (((state,), number) for state, number in states.items()))
    yield family(
        catalogue.TRANSACTIONS,
        [(("commit",), facts["xact_commit"]), (("rollback",), facts["xact_rollback"])],
    )
    yield family(
        catalogue.BLOCKS, [(("memory",), facts["blks_hit"]), (("disk",), facts["blks_read"])]
    )


def _cold(answer: health.Answer) -> Iterator[Metric]:
    yield one(catalogue.RETENTION, settings.ARCHIVE_RETENTION_DAYS * DAY_SECONDS)
    facts = answer.facts
    if not facts:
        return
    yield from several(catalogue.COLD, facts)
    # Not as old as the answer, which serves for a minute.
    passed = time_since(answer)
    yield one(catalogue.LAG, facts["now"] - facts["complete_until"] + passed)


def time_since(answer: health.Answer) -> float:
    """Return how many seconds ago an answer came."""
    return max(0.0, time.time() - answer.at) if answer.at else 0.0


def _kept(facts: Mapping[str, Any]) -> Iterator[Metric]:
    if not facts:
        return
    yield from several(catalogue.KEPT, facts)
    yield from several(catalogue.INFO, facts["info"])
    yield from several(catalogue.MEASURED, facts["measured"])
    yield from several(catalogue.VERIFIED, facts["verified"])
    sweeps = facts["sweeps"]
    yield one(catalogue.SWEEPS, sweeps.get("sweeps", 0))
    yield family(
        catalogue.REPAIRS,
        (((kind,), sweeps.get(key, 0)) for key, kind in catalogue.REPAIR_KINDS.items()),
    )
    yield one(catalogue.EVICTED, sweeps.get("evicted", 0))
    tasks: dict[str, dict[str, float]] = {}
    for key, value in facts["tasks"].items():
        task, _, what = key.partition(" ")
        tasks.setdefault(task, {})[what] = value
    yield family(
        catalogue.TASK_RUNS,
        (
            ((task, outcome), known.get(outcome, 0))
            for task, known in tasks.items()
            for outcome in ("ok", "failed")
        ),
    )
    for figure, what in (
        (catalogue.TASK_SECONDS, "seconds"),
        (catalogue.TASK_LAST, "last"),
        (catalogue.TASK_LAST_OK, "last_ok"),
    ):
        yield family(figure, (((task,), known.get(what)) for task, known in tasks.items()))


def _workers() -> Iterator[Metric]:
    samples: list[list[tuple[tuple[str, ...], float]]] = [[] for _ in catalogue.WORKERS]
    for pid in sorted(_pids()):
        try:
            worker = psutil.Process(pid)
            with worker.oneshot():
                used = worker.cpu_times()
                found = (
                    worker.memory_info().rss,
                    worker.create_time(),
                    worker.num_threads(),
                    used.user + used.system,
                )
        except psutil.Error:
            continue
        for some, figure in zip(samples, found, strict=True):
            some.append(((str(pid),), figure))
    for declared, known in zip(catalogue.WORKERS, samples, strict=True):
        yield family(declared, known)


def _pids() -> set[int]:
    """Return the living web workers that count together, this one at least."""
    pids = {os.getpid()}
    if folder := counting.own_folder():
        for path in folder.glob(f"{counts.NAMES}*"):
            pid = path.name.removeprefix(counts.NAMES).partition("-")[0]
            if pid.isdecimal() and psutil.pid_exists(int(pid)):
                pids.add(int(pid))
    return pids


def text() -> bytes:
    """Return the page."""
    registry = CollectorRegistry()
    registry.register(Counted())
    registry.register(Asked())
    return generate_latest(registry)
