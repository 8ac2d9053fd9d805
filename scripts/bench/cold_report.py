"""The archive's rows as tables, and its targets."""

from __future__ import annotations

import statistics

from scripts.bench.figures import ColdResults, Figures, Meanwhile, Run
from scripts.bench.meter import COUNTED

Rows = list[list[str]]
OBJECTS_PER_SECOND = 350
COPIES_PER_SECOND = 17_500
RESTORED_PER_SECOND = 20_000
FIRST_PAGE_MS, NEXT_PAGE_MS = 15.0, 2.0
SLOWER = 2.0
RUN_MEGABYTES = 200


def tables(found: ColdResults) -> list[tuple[str, list[str], Rows]]:
    """Return each table: its title, its head and its rows."""
    made: list[tuple[str, list[str], Rows]] = []
    if found.runs:
        made.append(
            (
                "The archive's runs; CPU-ms an object for backup, else a thousand messages",
                ["run", "seconds", "messages/s", "objects/s", "copies/s", "CPU-ms", "run", "S3",
                 "PostgreSQL", "most MB"],
                [_run_row(run) for run in found.runs],
            )
        )  # fmt: skip
    if found.pages:
        made.append(
            (
                "CPU-milliseconds of a page of 50 from cold storage",
                ["page", "CPU-ms", "web", "PostgreSQL", "S3 beside it", "pages/s"],
                [
                    ["a web worker's first", f"{found.first_ms:.2f}", "", "", "", ""],
                    *(_page_row(one) for one in found.pages),
                ],
            )
        )
    if found.storm:
        got = ", ".join(f"{status}: {number:,}" for status, number in sorted(found.crowd.items()))
        made.append(
            (
                f"Polls and sends beside 24 that log in and 24 that read cold pages ({got})",
                ["requests", "a second", "p50 ms", "p99 ms", "p99 to that without"],
                [_storm_row(one, quiet) for one, quiet in _stormy(found)],
            )
        )
    if found.sends:
        made.append(
            (
                "Sends meanwhile, over 2 connections",
                ["sends", "sends/s", "p50 ms", "p99 ms", "p99 to that without"],
                [_send_row(one, found) for one in found.sends],
            )
        )
    if found.sizes:
        names = list(found.sizes[0])
        made.append(
            (
                "Kilobytes of the tables after each cycle of filling, backup and trim",
                ["cycle", *names],
                [
                    [
                        str(place),
                        *(
                            f"{one[name]:,}" if "row" in name else f"{one[name] // 1024:,}"
                            for name in names
                        ),
                    ]
                    for place, one in enumerate(found.sizes, 1)
                ],
            )
        )
    return made


def _per_second(run: Run, name: str) -> str:
    number = run.report.get(name)
    return f"{number / run.seconds:,.0f}" if number else ""


def _unit(run: Run) -> float:
    if run.title == "backup":
        return float(run.report.get("objects") or 1)
    return float(run.report.get("messages") or 1000) / 1000


def _run_row(run: Run) -> list[str]:
    parts = [1000 * run.cpu[name] / _unit(run) for name in ("run", "s3", "postgres")]
    return [
        run.title,
        f"{run.seconds:.1f}",
        _per_second(run, "messages"),
        _per_second(run, "objects"),
        _per_second(run, "copies"),
        f"{sum(parts):.2f}",
        *(f"{part:.2f}" for part in parts),
        f"{run.megabytes:.0f}",
    ]


def _page_ms(figures: Figures) -> float:
    return statistics.median(sum(one[part] for part in COUNTED) for one in figures.cpu)


def _page_row(figures: Figures) -> list[str]:
    return [
        figures.title,
        f"{_page_ms(figures):.2f}",
        f"{figures.part('web'):.2f}",
        f"{figures.part('postgres'):.2f}",
        f"{figures.part('s3'):.2f}",
        f"{figures.of('per_second'):,.0f}" if figures.outcomes else "",
    ]


def _stormy(found: ColdResults) -> list[tuple[Meanwhile, Meanwhile]]:
    """Return each measurement with the quiet one that it belongs to."""
    return [(one, found.storm[place - place % 2]) for place, one in enumerate(found.storm)]


def _storm_row(one: Meanwhile, quiet: Meanwhile) -> list[str]:
    return [
        one.title,
        f"{one.outcome.per_second:,.0f}",
        f"{one.outcome.p50 / 1000:.1f}",
        f"{one.outcome.p99 / 1000:.1f}",
        f"{one.outcome.p99 / max(quiet.outcome.p99, 1):.1f}",
    ]


def _without(found: ColdResults) -> float:
    return statistics.median(
        one.outcome.p99 for one in found.sends if one.title.startswith("without")
    )


def _send_row(one: Meanwhile, found: ColdResults) -> list[str]:
    return [
        one.title + ("" if one.covered else " (it ended before)"),
        f"{one.outcome.per_second:,.0f}",
        f"{one.outcome.p50 / 1000:.1f}",
        f"{one.outcome.p99 / 1000:.1f}",
        f"{one.outcome.p99 / max(_without(found), 1):.1f}",
    ]


def misses(found: ColdResults) -> list[str]:
    """Return the targets that were not kept, one sentence each."""
    missed = [
        f"{run.title}: {run.megabytes:.0f} MB, at most {RUN_MEGABYTES}"
        for run in found.runs
        if run.megabytes > RUN_MEGABYTES
    ]
    if found.pages:
        missed += _slow_runs(found) + _slow_pages(found)
    missed += [
        f"{one.title}: p99 {one.outcome.p99 / max(quiet.outcome.p99, 1):.1f} times that without"
        for one, quiet in _stormy(found)
        if one.outcome.p99 > SLOWER * quiet.outcome.p99
    ]
    return missed + [
        f"sends {one.title}: p99 {one.outcome.p99 / _without(found):.1f} times that without"
        for one in found.sends
        if one.outcome.p99 > SLOWER * _without(found)
    ]


def _slow_runs(found: ColdResults) -> list[str]:
    least = {
        ("backup", "objects"): OBJECTS_PER_SECOND,
        ("backup", "copies"): COPIES_PER_SECOND,
        ("restore", "messages"): RESTORED_PER_SECOND,
    }
    return [
        f"{title}: {run.report.get(name, 0) / run.seconds:,.0f} {name} a second, at least {rate:,}"
        for (title, name), rate in least.items()
        for run in found.runs
        if run.title == title and run.report.get(name, 0) < rate * run.seconds
    ]


def _slow_pages(found: ColdResults) -> list[str]:
    missed = [
        f"{figures.title}: {_page_ms(figures):.1f} CPU-ms, at most {most:g}"
        for most, figures in zip((FIRST_PAGE_MS, NEXT_PAGE_MS), found.pages, strict=False)
        if _page_ms(figures) > most
    ]
    if found.first_ms > FIRST_PAGE_MS:
        missed.append(f"a web worker's first cold page: {found.first_ms:.0f} CPU-ms")
    return missed
