"""What is wrong with the files of ops/, each as one sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import promql_parser
import yaml
from django.conf import settings

from common import counts
from config import catalogue, options

OPS = options.BASE_DIR / "ops"
RULES = ("prometheus/rules.yml", "prometheus/alerts.yml")
DASHBOARD = "grafana/strata.json"
RUNBOOKS = "docs/operations.md"
TOLD = "docs/watching.md"
SEVERITIES = {"critical", "warning"}
# What Prometheus itself adds to every sample, or knows of every target.
TARGET = {"job", "instance"}
FOREIGN: dict[str, set[str]] = {"up": set(), "ALERTS": {"alertname", "alertstate", "severity"}}
# Grafana's own, as it would put them in.
VARIABLES = {"$__rate_interval": "5m", "$__interval": "1m", "$__range": "6h"}
ANCHOR = re.compile(r'<a (?:id|name)="([^"]+)"|^#+\s+(.+?)\s*(?:\{#([^}]+)\})?$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Known:
    """A metric that there is: its labels, and what it is."""

    labels: frozenset[str]
    kind: str


def known() -> dict[str, Known]:
    """Return every series that /metrics may have, by name."""
    # What is counted is declared where it is counted, and the routes lead there.
    import_module(settings.ROOT_URLCONF)
    found = {
        figure.name: Known(frozenset(figure.labels), figure.kind) for figure in catalogue.ASKED
    }
    for name, declared in counts.DECLARED.items():
        labels = frozenset(declared.labels)
        if declared.kind == "counter":
            found[name] = Known(labels, "counter")
            continue
        found[f"{name}_bucket"] = Known(labels | {"le"}, "counter")
        found[f"{name}_sum"] = found[f"{name}_count"] = Known(labels, "counter")
    return found


def problems(folder: Path = OPS) -> list[str]:
    """Return what is wrong with the dashboard and the rules in a folder, and what no page tells."""
    return [*_of_rules(folder), *_of_dashboard(folder), *_untold()]


def _untold() -> Iterator[str]:
    text = (options.BASE_DIR / TOLD).read_text(encoding="utf-8")
    for name in known():
        plain = re.sub("_(bucket|sum|count)$", "", name)
        if not re.search(rf"`{plain}[`{{]", text):
            yield f"{TOLD} does not tell of {name}"


def rules(folder: Path = OPS) -> list[dict[str, Any]]:
    """Return the rules of all files, in order."""
    return [
        rule
        for name in RULES
        for group in yaml.safe_load((folder / name).read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]


def _of_rules(folder: Path) -> Iterator[str]:
    there = known() | _recorded(rules(folder))
    anchors = _anchors(options.BASE_DIR / RUNBOOKS)
    names: set[str] = set()
    for rule in rules(folder):
        name = rule.get("alert") or rule["record"]
        if name in names:
            yield f"{name}: there are two of that name"
        names.add(name)
        yield from (f"{name}: {one}" for one in expression(str(rule["expr"]), there))
        if "alert" in rule:
            yield from (f"{name}: {one}" for one in _alert(rule, anchors))


def _recorded(found: list[dict[str, Any]]) -> dict[str, Known]:
    """Return what rules record; their labels are those that they aggregate by."""
    return {
        rule["record"]: Known(frozenset(_kept(promql_parser.parse(str(rule["expr"])))), "gauge")
        for rule in found
        if "record" in rule
    }


def _kept(parsed: Any) -> set[str]:
    """Return the labels that an expression's outermost aggregation keeps."""
    if isinstance(parsed, promql_parser.AggregateExpr):
        return set(parsed.modifier.labels) if parsed.modifier else set()
    if isinstance(parsed, promql_parser.Call):
        kept = set().union(*(_kept(one) for one in parsed.args))
        return kept - {"le"} if parsed.func.name == "histogram_quantile" else kept
    if isinstance(parsed, promql_parser.BinaryExpr):
        return _kept(parsed.lhs)
    return set()


def _alert(rule: Mapping[str, Any], anchors: set[str] | None) -> Iterator[str]:
    if rule.get("labels", {}).get("severity") not in SEVERITIES:
        yield f"severity is none of {', '.join(sorted(SEVERITIES))}"
    notes = rule.get("annotations", {})
    for part in ("summary", "description"):
        if not notes.get(part):
            yield f"no {part}"
    page, _, anchor = notes.get("runbook_url", "").partition("#")
    if page != RUNBOOKS or anchor != anchor_of(rule["alert"]):
        yield f"runbook_url is not {RUNBOOKS}#{anchor_of(rule['alert'])}"
    elif anchors is not None and anchor not in anchors:
        yield f"{RUNBOOKS} has no anchor {anchor}"


def anchor_of(alert: str) -> str:
    """Return the anchor of an alert's runbook: `alert-strata-cache-down`."""
    return "alert-" + re.sub(r"(?<!^)(?=[A-Z])", "-", alert).lower()


def _anchors(page: Path) -> set[str] | None:
    """Return the anchors of a page; None while there is no such page."""
    if not page.is_file():
        return None
    found = set()
    for own, heading, given in ANCHOR.findall(page.read_text(encoding="utf-8")):
        found.add(
            own or given or re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
        )
    return found


def _of_dashboard(folder: Path) -> Iterator[str]:
    board = json.loads((folder / DASHBOARD).read_text(encoding="utf-8"))
    there = known() | _recorded(rules(folder))
    sources = {one["name"] for one in board["templating"]["list"] if one["type"] == "datasource"}
    if "datasource" not in sources:
        yield "dashboard: no variable for the data source"
    ids = [panel["id"] for panel in board["panels"]]
    if len(set(ids)) != len(ids):
        yield "dashboard: two panels of one id"
    yield from _overlaps(board["panels"])
    for panel in board["panels"]:
        yield from (f"panel {panel['title']!r}: {one}" for one in _panel(panel, there))
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"])
            text = asked[1] if asked else variable["definition"]
            found = expression(text, there, counted=None)
            yield from (f"variable {variable['name']}: {one}" for one in found)
    for note in board["annotations"]["list"]:
        if "expr" in note:
            yield from (f"annotation: {one}" for one in expression(note["expr"], there))


def _panel(panel: dict[str, Any], there: Mapping[str, Known]) -> Iterator[str]:
    if panel["type"] != "row" and not panel.get("targets"):
        yield "it shows nothing"
    for target in panel.get("targets", []):
        if target["datasource"]["uid"] != "${datasource}":
            yield "it names a data source of its own"
        yield from expression(target["expr"], there)


def _overlaps(panels: list[dict[str, Any]]) -> Iterator[str]:
    taken: dict[tuple[int, int], str] = {}
    for panel in panels:
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24:  # noqa: PLR2004 - Grafana's columns
            yield f"panel {panel['title']!r} is wider than the page"
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                if (x, y) in taken:
                    yield f"panel {panel['title']!r} covers {taken[x, y]!r}"
                    return
                taken[x, y] = panel["title"]


def expression(
    text: str, there: Mapping[str, Known], *, counted: bool | None = False
) -> Iterator[str]:
    """Yield what is wrong with an expression, as against the metrics that there are.

    `counted` says whether a rate is taken of it; None that it does not matter.
    """
    for variable, value in VARIABLES.items():
        text = text.replace(variable, value)
    try:
        parsed = promql_parser.parse(text)
    except ValueError as error:
        yield f"{text!r} can't be read: {error}"
        return
    yield from _walk(parsed, there, counted=counted)


COUNTING = {"rate", "increase", "irate", "resets"}


def _walk(parsed: Any, there: Mapping[str, Known], *, counted: bool | None) -> Iterator[str]:
    match parsed:
        case promql_parser.VectorSelector():
            yield from _selector(parsed, there, counted=counted)
        case promql_parser.MatrixSelector():
            yield from _walk(parsed.vector_selector, there, counted=counted)
        case promql_parser.Call():
            inside = parsed.func.name in COUNTING
            for one in parsed.args:
                yield from _walk(
                    one, there, counted=counted if counted is None else inside or counted
                )
        case promql_parser.AggregateExpr() | promql_parser.ParenExpr() | promql_parser.UnaryExpr():
            yield from _walk(parsed.expr, there, counted=counted)
        case promql_parser.SubqueryExpr():
            yield from _walk(parsed.expr, there, counted=counted)
        case promql_parser.BinaryExpr():
            yield from _walk(parsed.lhs, there, counted=counted)
            yield from _walk(parsed.rhs, there, counted=counted)


def _selector(parsed: Any, there: Mapping[str, Known], *, counted: bool | None) -> Iterator[str]:
    name = parsed.name
    labels = {matcher.name for matcher in parsed.matchers.matchers}
    if name in FOREIGN:
        allowed = frozenset(FOREIGN[name] | TARGET)
    elif name in there:
        allowed = there[name].labels | TARGET
        if counted is not None and counted != (there[name].kind == "counter"):
            yield f"{name} is a {there[name].kind}" + (
                ", of which there is no rate" if counted else ", which only its rate makes sense of"
            )
    else:
        yield f"there is no {name}"
        return
    for label in sorted(labels - allowed):
        yield f"{name} has no label {label}"
