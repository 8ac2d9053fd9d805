"""Every step at which the archive can be killed is killed by a test, and none is left unnamed."""

import ast
import re
from pathlib import Path

import pytest

from archive.steps import STEPS, step

ARCHIVE = Path(__file__).resolve().parents[1]


def called() -> set[str]:
    """The steps that the code marks."""
    found = set()
    for path in ARCHIVE.rglob("*.py"):
        if "tests" not in path.parts and path.name != "steps.py":
            found |= set(re.findall(r'\bstep\(f?"([^"]+)"\)', path.read_text()))
    tables = [
        name.partition(".")[2]
        for name in STEPS
        if name in {f"restore.{t}" for t in ("users", "blocks", "chats")}
    ]
    found |= {f"restore.{table}" for table in tables}
    return found - {"restore.{table}"}


def killed() -> set[str]:
    """The steps that stand in tests which have a process killed."""
    found = set()
    for path in (ARCHIVE / "tests").glob("test_*.py"):
        for node in ast.parse(path.read_text()).body:
            if (isinstance(node, ast.FunctionDef) and "ARCHIVE_DIE_AT" in ast.unparse(node)) or (
                isinstance(node, ast.FunctionDef) and "die_at=" in ast.unparse(node)
            ):
                found |= {
                    part.value.partition("#")[0]
                    for part in ast.walk(node)
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                }
    return found


def test_every_step_in_the_code_is_named_and_every_name_is_in_the_code():
    assert called() == set(STEPS)


def test_every_step_is_killed_by_a_test():
    assert set(STEPS) - killed() == set()


def test_a_step_nobody_named_is_refused_where_steps_matter(monkeypatch):
    step("no such step")
    monkeypatch.setenv("ARCHIVE_DIE_AT", "another")
    with pytest.raises(ValueError, match="no such step"):
        step("no such step")
