"""What `docker build` is sent: the checkout's files without those that .dockerignore names."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path


def pattern(line: str) -> re.Pattern[str]:
    """Return what a line of .dockerignore matches: a path or what is below it."""
    regex = ""
    for part in re.split(r"(\*\*/|\*\*|\*|\?)", line.strip("/")):
        regex += {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(
            part, re.escape(part)
        )
    return re.compile(f"{regex}(?:/.*)?")


def ignored(path: str, patterns: list[re.Pattern[str]]) -> bool:
    """Say whether a path is left out."""
    return any(one.fullmatch(path) for one in patterns)


def patterns(ignore_file: Path) -> list[re.Pattern[str]]:
    """Return the lines of .dockerignore; one that takes back another is not known here."""
    lines = [
        line.strip()
        for line in ignore_file.read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith("#")
    ]
    if any(line.startswith("!") for line in lines):
        raise ValueError("a line of .dockerignore begins with !, which is not understood here")
    return [pattern(line) for line in lines]


def assemble(checkout: Path, target: Path) -> list[str]:
    """Copy the context into a folder and return its paths; git says which files there are."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=checkout,
        capture_output=True,
        check=True,
    ).stdout.decode()
    rules = patterns(checkout / ".dockerignore")
    paths = [
        path
        for path in listed.split("\0")
        if path and not ignored(path, rules) and (checkout / path).is_file()
    ]
    for path in paths:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(checkout / path, target / path)
    return paths
