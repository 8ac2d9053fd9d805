"""Each part of a running stack is stopped in turn, and the alerts that say so become true, alone.

The alerts' own expressions are evaluated by Prometheus' tool on what /metrics then says.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import redis
import yaml
from prometheus_client.parser import text_string_to_metric_families

from config.options import BASE_DIR
from config.stack.folder import some_free_port
from config.stack.live import LiveStack

PROMTOOL = shutil.which("promtool")
RULES = BASE_DIR / "ops" / "prometheus"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed"),
]
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    folder = tmp_path_factory.mktemp("alerts")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(parent.stat().st_mode | 0o011)
    with LiveStack(folder / "data", some_free_port()) as running:
        yield running


def scrape(stack: LiveStack) -> Samples:
    answer = httpx.get(f"{stack.base_url}/metrics", timeout=10)
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def scrape_until(stack: LiveStack, settled: Callable[[Samples], bool]) -> Samples:
    deadline = time.monotonic() + 90
    while not settled(found := scrape(stack)):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return found


def firing(found: Samples, folder: Path) -> set[str]:
    """Return the alerts whose expressions are true of what was scraped."""
    alerts = {
        rule["alert"]: rule["expr"]
        for group in yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
        for rule in group["rules"]
    }
    series = [{"series": 'up{job="strata", instance="web"}', "values": "1x5"}]
    for (name, labels), value in found.items():
        shown = ", ".join(f'{key}="{one}"' for key, one in (*labels, ("job", "strata"), ("instance", "web")))  # fmt: skip
        series.append({"series": f"{name}{{{shown}}}", "values": f"{value!r}x5"})
    # The tool's clock begins in 1970: time() is made what it is.
    now = time.time()
    case = {
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [
            {"expr": expr.replace("time()", f"{now!r}"), "eval_time": "5m", "exp_samples": []}
            for expr in alerts.values()
        ],
    }
    path = folder / "case.yml"
    test = {"rule_files": [str(RULES / "rules.yml")], "evaluation_interval": "1m", "tests": [case]}
    path.write_text(yaml.safe_dump(test))
    done = subprocess.run(
        [str(PROMTOOL), "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    told = done.stdout + done.stderr
    assert "parse error" not in told, told
    true = set(re.findall(r'expr: "((?:[^"\\]|\\.)*)", time: 5m', told))
    names = {
        name
        for name, expr in alerts.items()
        if expr.replace("time()", f"{now!r}").replace('"', '\\"') in true
    }
    assert len(names) == len(true), told
    assert (done.returncode == 0) == (not true), told
    return names


@contextmanager
def nothing_scheduled(stack: LiveStack) -> Iterator[None]:
    """Have no task begin meanwhile: one that meets what we break would rightly be told of too."""
    stack.pause("beat")
    try:
        scrape_until(stack, lambda found: not ends(found, "last_run", "last_success"))
        yield
    finally:
        stack.resume("beat")


def ends(found: Samples, one: str, other: str) -> bool:
    """Return whether the times of the tasks' ends differ in these two."""

    def times(which: str) -> dict[object, float]:
        name = f"strata_task_{which}_timestamp_seconds"
        return {labels: value for (sample, labels), value in found.items() if sample == name}

    return times(one) != times(other)


def up(found: Samples, dependency: str) -> float:
    return found["strata_up", (("dependency", dependency),)]


def test_nothing_is_wrong_with_a_stack_that_runs(stack: LiveStack, tmp_path: Path) -> None:
    found = scrape_until(stack, lambda found: ("strata_heartbeat_age_seconds", (("process", "worker"),)) in found)  # fmt: skip
    assert firing(found, tmp_path) == set()


@pytest.mark.parametrize(
    ("part", "dependency", "expected"),
    [
        # Without the database the sweeper, too, gets nowhere.
        (
            "postgres",
            "database",
            {"StrataDatabaseDown", "StrataFiguresMissing", "StrataSweeperLate"},
        ),
        ("valkey", "cache", {"StrataCacheDown", "StrataFiguresMissing"}),
        ("s3", "object_store", {"StrataObjectStoreDown"}),
    ],
)
def test_a_server_that_hangs_is_told_of(
    stack: LiveStack, tmp_path: Path, part: str, dependency: str, expected: set[str]
) -> None:
    sources = {"postgres": ("server", "people", "cold"), "valkey": ("kept",), "s3": ()}[part]

    def swept(found: Samples) -> bool:
        return found["strata_heartbeat_age_seconds", (("process", "sweeper"),)] <= 30

    with nothing_scheduled(stack):
        stack.pause(part)
        try:
            found = scrape_until(
                stack,
                lambda found: (
                    up(found, dependency) == 0
                    and not any(
                        found["strata_figures_up", (("source", source),)] for source in sources
                    )
                    and (part != "postgres" or not swept(found))
                ),
            )
            assert firing(found, tmp_path) == expected
        finally:
            stack.resume(part)
        again = scrape_until(
            stack,
            lambda found: (
                up(found, dependency) == 1
                and all(found["strata_figures_up", (("source", source),)] for source in sources)
                and swept(found)
            ),
        )
        assert firing(again, tmp_path) == set()


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("sweeper", {"StrataSweeperLate"}),
        ("worker", {"StrataWorkerLate"}),
        ("beat", {"StrataSchedulerLate"}),
    ],
)
def test_a_process_that_hangs_is_told_of(
    stack: LiveStack, tmp_path: Path, part: str, expected: set[str]
) -> None:
    with redis.Redis.from_url(stack.environment()["REDIS_URL"]) as cache:
        stack.pause(part)
        try:
            # As if minutes had passed since its last word.
            key, field = ("fresh", "ms") if part == "sweeper" else ("ops:alive", part)
            cache.hincrby(key, field, -600_000)
            found = scrape_until(
                stack,
                lambda found: found["strata_heartbeat_age_seconds", (("process", part),)] > 500,
            )
            assert firing(found, tmp_path) == expected
        finally:
            stack.resume(part)
    # It speaks again by itself; the scheduler with the next task that is due.
    if part != "beat":
        scrape_until(
            stack, lambda found: found["strata_heartbeat_age_seconds", (("process", part),)] < 30
        )


def test_a_web_server_that_is_away_and_one_that_nobody_scrapes_are_told_of(tmp_path: Path) -> None:
    assert firing({("up", (("dead", "yes"),)): 0}, tmp_path) == {"StrataDown"}
