"""What the dashboard draws: each plot with its sentence, and its numbers as a table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from overview.models import Name
from overview.selectors import SERVED, Figures, by_hour

DAY = "%a %H:%M"
UNKNOWN = "Nothing is known yet."


@dataclass(frozen=True, slots=True)
class Line:
    """One row of values of a plot."""

    label: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot; `sentence` says in words what it shows, at a glance and for the blind."""

    name: str
    title: str
    sentence: str
    labels: Sequence[str]
    lines: Sequence[Line]
    kind: str = "line"
    stacked: bool = False
    unit: str = ""
    empty: bool = False
    most: float | None = field(default=None)
    """Where the axis ends, if not by the values."""

    @property
    def data(self) -> dict[str, Any]:
        """Return what the page's script draws."""
        return {
            "kind": self.kind,
            "stacked": self.stacked,
            "unit": self.unit,
            "most": self.most,
            "labels": list(self.labels),
            "lines": [{"label": line.label, "values": list(line.values)} for line in self.lines],
        }

    @property
    def table(self) -> list[list[str]]:
        """Return the numbers, the newest first, without stretches of which nothing is known."""
        found = []
        for place in reversed(range(len(self.labels))):
            numbers = [line.values[place] for line in self.lines]
            if any(number is not None for number in numbers):
                found.append([self.labels[place], *(shown(number) for number in numbers)])
        return found


def shown(number: float | None) -> str:
    """Return a number as people read it."""
    if number is None:
        return "-"
    return f"{number:,.0f}" if number == int(number) or abs(number) >= 100 else f"{number:,.1f}"  # noqa: PLR2004


def span(seconds: float | None) -> str:
    """Return a stretch of time in words."""
    if seconds is None:
        return "unknown"
    minutes = max(0, round(seconds / 60))
    if minutes < 1:
        return "less than a minute"
    if minutes < 120:  # noqa: PLR2004
        return f"{minutes} minute{'s' * (minutes != 1)}"
    hours = round(minutes / 60)
    return f"{hours} hours" if hours < 48 else f"{round(hours / 24)} days"  # noqa: PLR2004


def plots(found: Figures) -> list[Plot]:
    """Return the plots of the noted figures."""
    return [
        _hourly(found, Name.MESSAGES, "Messages per hour", "messages"),
        _hourly(found, Name.WRITERS, "People writing per hour", "people in the busiest hour"),
        _served(found),
        _lag(found),
        _queue(found),
        _reports(found),
    ]


def _are(number: float, one: str, many: str) -> str:
    """Return how many there are, with the words that go with one or with several."""
    return f"1 {one}" if number == 1 else f"{shown(number)} {many}"


def _peak(values: Sequence[float | None], times: Sequence[datetime]) -> tuple[float, datetime]:
    return max(
        ((value or 0.0, at) for value, at in zip(values, times, strict=True)),
        key=lambda pair: pair[0],
    )


def _hourly(found: Figures, name: Name, title: str, what: str) -> Plot:
    values = [value or 0.0 for value in found.values[name]]
    most, at = _peak(values, found.hours)
    if name == Name.MESSAGES:
        sentence = (
            f"{shown(sum(values))} {what} in 48 hours, most in the hour from {at:{DAY}} UTC: "
            f"{shown(most)}."
        )
    else:
        sentence = f"At most {shown(most)} {what}, from {at:{DAY}} UTC."
    if not most:
        known = found.newest is not None
        sentence = "Nobody has written in 48 hours." if known else UNKNOWN
    labels = [f"{hour:{DAY}}" for hour in found.hours]
    kind = "bar" if name == Name.MESSAGES else "line"
    return Plot(name, title, sentence, labels, [Line(name.label, values)], kind, empty=not most)


def _served(found: Figures) -> Plot:
    sums = [by_hour(found.values[name], found.stretches) for name in SERVED]
    hours = [hour for hour, _ in sums[0]]
    totals = [sum(values[place][1] for values in sums) for place in range(len(hours))]
    lines = [
        Line(
            name.label,
            [
                round(100 * values[place][1] / total, 1) if total else None
                for place, total in enumerate(totals)
            ],
        )
        for name, values in zip(SERVED, sums, strict=True)
    ]
    all_ = sum(totals)
    shares = [sum(value for _, value in values) / all_ if all_ else 0 for values in sums]
    sentence = (
        f"Of {shown(all_)} answers in 24 hours {shares[0]:.1%} came from the cache, "
        f"{shares[1]:.1%} needed the database and {shares[2]:.1%} cold storage."
        if all_
        else "No messages have been read in 24 hours."
        if found.newest is not None
        else UNKNOWN
    )
    labels = [f"{hour:{DAY}}" for hour in hours]
    return Plot(
        "served", "Where answers came from", sentence, labels, lines,
        "bar", stacked=True, unit="%", empty=not all_, most=100,
    )  # fmt: skip


def _lag(found: Figures) -> Plot:
    values = [
        None if value is None else round(value / 60, 1) for value in found.values[Name.BACKUP_LAG]
    ]
    now = found.last(Name.BACKUP_LAG)
    sentence = (
        f"Cold storage holds everything up to {span(now)} ago."
        " It is behind by up to an hour in the ordinary case, as backups run after each full hour."
        if now is not None
        else UNKNOWN
    )
    return _fine(found, "backup_lag", "Backup is behind by", sentence, values, "minutes")


def _queue(found: Figures) -> Plot:
    values = found.values[Name.QUEUE]
    now, most = found.last(Name.QUEUE), _peak(values, found.stretches)[0]
    sentence = (
        f"{_are(now, 'background task waits', 'background tasks wait')} now; "
        f"at most {shown(most)} did in 24 hours."
        if now is not None
        else UNKNOWN
    )
    return _fine(found, "queue", "Background tasks that wait", sentence, values, "tasks")


def _reports(found: Figures) -> Plot:
    values = found.values[Name.REPORTS]
    now, most = found.last(Name.REPORTS), _peak(values, found.stretches)[0]
    sentence = (
        f"{_are(now, 'report waits', 'reports wait')} to be handled; "
        f"at most {shown(most)} did in 24 hours."
        if now is not None
        else UNKNOWN
    )
    return _fine(found, "reports", "Reports that wait", sentence, values, "reports")


def _fine(  # noqa: PLR0917 - they read as the plot's line of a list
    found: Figures, name: str, title: str, sentence: str, values: Sequence[float | None], unit: str
) -> Plot:
    labels = [f"{at:{DAY}}" for at in found.stretches]
    known = any(value is not None for value in values)
    return Plot(name, title, sentence, labels, [Line(unit, values)], unit=unit, empty=not known)
