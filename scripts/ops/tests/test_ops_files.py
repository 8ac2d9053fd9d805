"""Dashboard and rules name what there is; the check notices when they don't."""

import json
import shutil
import subprocess

import pytest

from scripts.ops import check

PROMTOOL = shutil.which("promtool")


@pytest.fixture
def copied(tmp_path):
    """Return a copy of ops/ to spoil, and a way to check it."""
    shutil.copytree(check.OPS, tmp_path / "ops")
    return tmp_path / "ops"


def spoil(folder, name, old, new):
    path = folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return check.problems(folder)


def test_the_files_are_right():
    assert check.problems() == []


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("alerts", "strata_drill_ok", "strata_drill_okay", "there is no strata_drill_okay"),
        ("alerts", 'process="worker"', 'proces="worker"', "has no label proces"),
        ("alerts", "[10m])) > 20", "[10m]) > 20", "can't be read"),
        ("alerts", "severity: critical", "severity: loud", "severity is none of"),
        ("alerts", "summary:", "sumary:", "no summary"),
        ("alerts", "#alert-strata-down", "#alert-down", "runbook_url is not"),
        ("alerts", "alert: StrataErrors", "alert: StrataDown", "there are two of that name"),
        ("alerts", "min(strata_queue_oldest_age_seconds", "rate(strata_queue_length[1m]) < min(strata_queue_oldest_age_seconds", "there is no rate"),
        ("rules", 'sum(rate(strata_served_total{job="strata"}[5m]))', "sum(strata_served_total)", "only its rate"),
        ("alerts", "p99_5m{route=~", "p99_5m{rout=~", "has no label rout"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_rule_is_noticed(copied, name, old, new, said):
    found = spoil(copied, f"prometheus/{name}.yml", old, new)
    assert any(said in problem for problem in found), found


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("strata_cache_keys", "strata_cache_kyes", "there is no strata_cache_kyes"),
        (
            '"uid": "${datasource}"\n          },\n          "expr"',
            '"uid": "prometheus-1"\n          },\n          "expr"',
            "data source of its own",
        ),
        ("by (tier)", "by (tier", "can't be read"),
        ('"name": "datasource"', '"name": "source"', "no variable for the data source"),
    ],
)
def test_a_mistake_in_the_dashboard_is_noticed(copied, old, new, said):
    found = spoil(copied, check.DASHBOARD, old, new)
    assert any(said in problem for problem in found), found


def test_an_alert_without_a_runbook_is_noticed(monkeypatch, tmp_path):
    monkeypatch.setattr(check, "RUNBOOKS", "README.md")
    found = [one for one in check.problems() if "runbook_url is not README.md#" in one]
    assert len(found) == sum("alert" in rule for rule in check.rules())
    page = tmp_path / "page.md"
    page.write_text('# Runbooks\n\n<a id="alert-one"></a>\n### Alert: strata_two (late)\n')
    assert check._anchors(page) == {"runbooks", "alert-one", "alert-strata_two-late"}
    assert list(check._alert({"alert": "One", "labels": {"severity": "warning"}, "annotations": {"summary": "x", "description": "y", "runbook_url": "README.md#alert-one"}}, set())) == ["README.md has no anchor alert-one"]  # fmt: skip


def test_every_figure_is_shown_or_watched():
    board = json.loads((check.OPS / check.DASHBOARD).read_text())
    text = json.dumps(board) + "".join(rule["expr"] for rule in check.rules())
    assert [name for name in check.known() if name.removesuffix("_sum").removesuffix("_count") not in text] == []  # fmt: skip


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
@pytest.mark.parametrize(
    "arguments",
    [("check", "config", "prometheus.yml"), ("test", "rules", "tests.yml")],
    ids=["check", "test"],
)
def test_prometheus_own_tool_agrees(arguments):
    done = subprocess.run(
        [str(PROMTOOL), *arguments],
        cwd=check.OPS / "prometheus", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
