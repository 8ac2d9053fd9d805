"""What a run found out, as tables for a terminal and a page, and as JSON."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from scripts.bench import cold_report as cold
from scripts.bench import load
from scripts.bench.figures import Figures, Results
from scripts.bench.meter import BEFORE
from scripts.bench.run import CONSTANT
from scripts.bench.scale import IDLE_POLL

FLAT = 0.10
GROWTH_BY_CHATS = 0.5
WRITERS_PER_SECOND = 800
WORKER_MEGABYTES = 120
GROWING_MEGABYTES = 3

Rows = list[list[str]]


def tables(results: Results) -> list[tuple[str, list[str], Rows]]:
    """Return each table: its title, its head and its rows."""
    made = main_tables(results) if results.main else []
    return made + (cold.tables(results.cold) if results.cold else [])


def main_tables(results: Results) -> list[tuple[str, list[str], Rows]]:
    """Return the tables of requests."""
    floor, idle = results.main[CONSTANT].cpu_ms, results.main[IDLE_POLL].cpu_ms
    made = [
        (
            "CPU-milliseconds per request, over all server processes",
            ["request", "CPU-ms", "ratio", "idle polls", "at most", "with nginx", "web",
             "PostgreSQL", "Valkey", "requests/s", "p50 ms", "p99 ms"],
            [_main_row(figures, floor, idle) for figures in results.main.values()],
        )
    ]  # fmt: skip
    if results.by_messages:
        sizes = list(results.by_messages)
        titles = list(results.by_messages[sizes[-1]])
        made.append(
            (
                "CPU-ms by the number of messages in the chat",
                ["request", *(f"{size:,}" for size in sizes), "largest to smallest"],
                [_growth_row(results, title) for title in titles],
            )
        )
    if results.by_chats:
        counts = list(results.by_chats)
        values = [figures.cpu_ms for figures in results.by_chats.values()]
        made.append(
            (
                "CPU-ms of an idle poll by the number of the user's chats",
                [*(f"{number:,}" for number in counts), "largest to smallest"],
                [[*(f"{value:.3f}" for value in values), f"{values[-1] / values[0] - 1:+.0%}"]],
            )
        )
    if results.writers is not None:
        writers = results.writers
        made.append(
            (
                "50 writers at once to one group",
                ["sends/s", "CPU-ms", "p50 ms", "p99 ms", "errors"],
                [[f"{writers.of('per_second'):,.0f}", f"{writers.cpu_ms:.3f}",
                  f"{writers.of('p50') / 1000:.1f}", f"{writers.of('p99') / 1000:.1f}",
                  str(sum(one.errors + one.wrong for one in writers.outcomes))]],
            )
        )  # fmt: skip
    made.append(
        (
            "Memory of the largest web worker",
            ["requests served", "resident MB", "proportional MB"],
            [
                [f"{requests:,}", f"{rss:.1f}", f"{pss:.1f}"]
                for requests, rss, pss in results.memory
            ],
        )
    )
    return made


def _main_row(figures: Figures, floor: float, idle: float) -> list[str]:
    target = f"{figures.most_ms:g} / {figures.most_ratio:g}" if figures.most_ms else ""
    if figures.most_polls:
        target = f"{figures.most_polls:g} polls"
    return [
        figures.title,
        f"{figures.cpu_ms:.3f}",
        f"{figures.cpu_ms / floor:.1f}",
        f"{figures.cpu_ms / idle:.2f}",
        target,
        f"{figures.cpu_ms + figures.part(BEFORE):.3f}",
        f"{figures.part('web'):.3f}",
        f"{figures.part('postgres'):.3f}",
        f"{figures.part('valkey'):.3f}",
        f"{figures.of('per_second'):,.0f}",
        f"{figures.of('p50') / 1000:.2f}",
        f"{figures.of('p99') / 1000:.2f}",
    ]


def _growth_row(results: Results, title: str) -> list[str]:
    values = [row[title].cpu_ms if title in row else None for row in results.by_messages.values()]
    known = [value for value in values if value is not None]
    return [
        title,
        *("" if value is None else f"{value:.3f}" for value in values),
        f"{known[-1] / known[0] - 1:+.0%}",
    ]


def misses(results: Results) -> list[str]:
    """Return the targets that were not kept, one sentence each."""
    missed = main_misses(results) if results.main else []
    return missed + (cold.misses(results.cold) if results.cold else [])


def main_misses(results: Results) -> list[str]:
    """Return the targets of requests that were not kept."""
    floor = results.main[CONSTANT].cpu_ms
    missed = [
        f"{one.title}: {one.cpu_ms / floor:.1f} times the constant view, at most {one.most_ratio:g}"
        for one in results.main.values()
        if one.most_ratio and one.cpu_ms > one.most_ratio * floor
    ]
    idle = results.main[IDLE_POLL].cpu_ms
    missed += [
        f"{one.title}: {one.cpu_ms / idle:.2f} idle polls, at most {one.most_polls:g}"
        for one in results.main.values()
        if one.most_polls and one.cpu_ms > one.most_polls * idle
    ]
    for title in next(reversed(results.by_messages.values()), {}):
        known = [row[title].cpu_ms for row in results.by_messages.values() if title in row]
        if known[-1] > (1 + FLAT) * known[0]:
            missed.append(f"{title}: grows by {known[-1] / known[0] - 1:.0%} with the messages")
    by_chats = [figures.cpu_ms for figures in results.by_chats.values()]
    if by_chats and by_chats[-1] > (1 + GROWTH_BY_CHATS) * by_chats[0]:
        missed.append(f"idle poll: grows by {by_chats[-1] / by_chats[0] - 1:.0%} with the chats")
    if results.writers and results.writers.of("per_second") < WRITERS_PER_SECOND:
        missed.append(f"50 writers: {results.writers.of('per_second'):,.0f} sends a second")
    _, resident, _ = results.memory[-1]
    if resident > WORKER_MEGABYTES:
        missed.append(f"a web worker takes {resident:.0f} MB")
    if len(results.memory) > 2 and resident > results.memory[-2][1] + GROWING_MEGABYTES:  # noqa: PLR2004
        missed.append("a web worker grows with the requests")
    return missed


def show(results: Results) -> None:
    """Print everything."""
    console = Console(width=None if sys.stdout.isatty() else 130)
    for title, head, rows in tables(results):
        table = Table(title=title, title_justify="left")
        for place, name in enumerate(head):
            table.add_column(name, justify="left" if place == 0 else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for miss in misses(results):
        console.print(f"Over the target: {miss}", style="yellow", markup=False)
    for problem in results.problems:
        console.print(f"Unsound: {problem}", style="bold red", markup=False)


def write(results: Results, folder: Path, *, quick: bool) -> list[Path]:
    """Write the tables as Markdown and everything as JSON; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    moment = datetime.now(UTC)
    machine = _machine()
    name = f"{moment:%Y%m%dT%H%M%SZ}{'-quick' if quick else ''}"
    page, data = folder / f"{name}.md", folder / f"{name}.json"
    lines = [f"# Bench of {moment:%Y-%m-%d %H:%M} UTC", ""]
    lines += [", ".join(f"{key} {value}" for key, value in machine.items()), ""]
    for title, head, rows in tables(results):
        lines += [f"## {title}", "", _line(head), _line(["---"] * len(head))]
        lines += [_line(row) for row in rows] + [""]
    lines += [f"- Over the target: {miss}" for miss in misses(results)]
    lines += [f"- Unsound: {problem}" for problem in results.problems]
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    whole: dict[str, Any] = {
        "time": moment.isoformat(),
        "quick": quick,
        "machine": machine,
        "main": [_plain(one, results) for one in results.main.values()],
        "by_messages": {
            size: [_plain(one, results) for one in row.values()]
            for size, row in results.by_messages.items()
        },
        "by_chats": {number: _plain(one, results) for number, one in results.by_chats.items()},
        "writers": _plain(results.writers, results) if results.writers else None,
        "memory": results.memory,
        "cold": asdict(results.cold) if results.cold else None,
        "misses": misses(results),
        "problems": results.problems,
    }
    data.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return [page, data]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _plain(figures: Figures, results: Results) -> dict[str, Any]:
    floor = results.main[CONSTANT].cpu_ms
    return {
        **asdict(figures),
        "cpu_ms": figures.cpu_ms,
        "ratio": figures.cpu_ms / floor,
        "spread": figures.spread,
    }


def _machine() -> dict[str, Any]:
    return {
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": psutil.cpu_count() or 0,
        "load generator": load.tool(),
    }
