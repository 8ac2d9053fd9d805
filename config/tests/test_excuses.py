"""Whoever excuses a line from the security linter says why, on that line."""

import re

from config.options import BASE_DIR

EXCUSE = re.compile(r"# nosec\b")
WITH_REASON = re.compile(r"# nosec B\d+ # \S.{5}")


def excuses():
    """Yield each line that is excused, but for this file's."""
    for folder in BASE_DIR.iterdir():
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        for path in folder.rglob("*.py"):
            if str(path) != __file__:
                for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                    if EXCUSE.search(line):
                        yield f"{path.relative_to(BASE_DIR)}:{number}", line


def test_each_says_what_it_is_excused_from_and_why():
    found = dict(excuses())
    assert len(found) > 20
    assert [where for where, line in found.items() if not WITH_REASON.search(line)] == []
