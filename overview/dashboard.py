"""The admin's first page: a few numbers, and plots of what the figures say."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from archive.models import DrillRun, RetentionRun
from overview import plots, selectors
from overview.models import Name
from overview.plots import Line, Plot, shown, span

RUNS = 14


def context(request: HttpRequest, found: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows; five queries in all, none of which grows with the data."""
    now = timezone.now()
    figures = selectors.figures(now)
    drawn = [*plots.plots(figures), retention()]
    late = selectors.late(figures, now)
    return found | {
        "cards": cards(figures),
        "plots": drawn,
        "data": {plot.name: plot.data for plot in drawn if not plot.empty},
        "fresh": figures.newest is None,
        "late": span(late.total_seconds()) if late else "",
        "noted": figures.newest,
    }


def cards(figures: selectors.Figures) -> list[dict[str, Any]]:
    """Return the numbers at the top: what, how much, whether it is well, and where it leads."""
    lag, queue, reports = (
        figures.last(name) for name in (Name.BACKUP_LAG, Name.QUEUE, Name.REPORTS)
    )
    drill = DrillRun.objects.exclude(finished_at=None).first()
    return [
        _card(
            "messages", "Messages in the last full hour", shown(figures.whole_hour(Name.MESSAGES))
        ),
        _card("writers", "People who wrote in it", shown(figures.whole_hour(Name.WRITERS))),
        _card(
            "reports",
            "Open reports",
            shown(reports),
            "warn" if reports else "",
            reverse("admin:moderation_case_changelist"),
        ),
        _card("queue", "Tasks that wait", shown(queue), "warn" if queue and queue > 100 else ""),  # noqa: PLR2004
        _card(
            "lag",
            "Backup is behind by",
            span(lag),
            # The hour before is backed up two minutes past each full hour.
            "bad" if lag is not None and lag > 2 * 3600 + 600 else "",
        ),
        _card(
            "drill",
            "Last restore drill",
            "none yet" if drill is None else "passed" if drill.ok else "failed",
            "" if drill is None else "good" if drill.ok else "bad",
            reverse("admin:archive_drillrun_changelist"),
        ),
    ]


def _card(name: str, label: str, value: str, state: str = "", url: str = "") -> dict[str, Any]:
    return {"name": name, "label": label, "value": value, "state": state, "url": url}


def retention() -> Plot:
    """Return the plot of what the last purges deleted and left."""
    runs = list(RetentionRun.objects.exclude(finished_at=None)[:RUNS])[::-1]
    sentence = "No purge has run yet."
    if runs:
        last = runs[-1]
        sentence = (
            f"The last purge, {last.finished_at:%a %Y-%m-%d %H:%M} UTC, deleted "
            f"{shown(last.deleted)} of {shown(last.due)} objects that were due; "
            f"{shown(last.kept)} are kept, for {last.days} days each."
        )
    return Plot(
        "retention", "Retention", sentence, [f"{run.started_at:%d %b %H:%M}" for run in runs],
        [
            Line("Due", [run.due for run in runs]),
            Line("Deleted", [run.deleted for run in runs]),
        ],
        "bar", unit="objects", empty=not runs,
    )  # fmt: skip
