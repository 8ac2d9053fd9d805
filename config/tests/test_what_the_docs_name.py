"""What the documents name is there: links, files, make targets, commands, settings, routes, metrics.

Documents drift, since nothing fails when they are wrong. Here each name that a reader would click, type
or search for is held against the code. `docs/settings.md` and `docs/openapi.yaml` are written from the
code, and `make lint` holds them.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands, load_command_class
from django.urls import resolve

from config import options
from config.options import BASE_DIR
from config.process import NAMES
from scripts.ops.check import known

PAGES = sorted(
    [*BASE_DIR.glob("*.md"), *(BASE_DIR / "docs").glob("*.md"), *BASE_DIR.glob("clients/*/*.md")]
)
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?<=\n\n)(?:    \S.*\n)+")
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r'<a id="([^"]+)"|^#+ (.+)$', re.MULTILINE)
# Settings of others that the documents speak of.
FOREIGN = re.compile(r"OTEL_\w+|CAP_\w+|PR_\w+|SECBIT_\w+|ALTER_\w+")
OURS = {
    "accounts", "archive", "audit", "messaging", "moderation", "overview",
}  # fmt: skip

# What stands for a part of a path, to see whether it leads somewhere.
PARTS = {"id": "00000000-0000-0000-0000-000000000000", "year": "2026", "day": "007", "hour": "03"}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page: Path) -> list[str]:
    """Return the blocks of code of a page."""
    text = page.read_text("utf-8")
    return [code for _, code in FENCE.findall(text)] + INDENTED.findall(FENCE.sub("", text))


def spans(page: Path) -> list[str]:
    """Return what stands in the page's lines as code."""
    return SPAN.findall(FENCE.sub("", page.read_text("utf-8")))


def lines(page: Path) -> Iterator[str]:
    """Yield each piece of code that may be a command, without what a shell leaves out."""
    for text in [*blocks(page), *spans(page)]:
        for line in text.replace("\\\n", " ").splitlines():
            yield re.split(r"(?:^|\s)#", line)[0].strip().removeprefix("$ ")


@cache
def anchors(page: Path) -> set[str]:
    """Return where links into a page may lead."""
    found = HEADING.findall(FENCE.sub("", page.read_text("utf-8")))
    return {
        own or re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
        for own, heading in found
    }


@cache
def files() -> frozenset[str]:
    """Return the paths of all files of the checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    return frozenset(path for path in listed if (BASE_DIR / path).is_file())


@cache
def code() -> str:
    """Return the text of all files that are no documents."""
    kept = ".py .sql .lua .env .service .target Makefile Dockerfile compose.yaml nginx.conf local-server"
    return "\n".join(
        (BASE_DIR / path).read_text("utf-8")
        for path in files()
        if path.endswith(tuple(kept.split())) and path != str(Path(__file__).relative_to(BASE_DIR))
    )


@every_page
def test_its_links_lead_somewhere(page):
    text = SPAN.sub("", FENCE.sub("", page.read_text("utf-8")))
    for target in LINK.findall(text):
        if re.match(r"\w+://|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert there.is_relative_to(BASE_DIR), target
        if anchor:
            assert anchor in anchors(there), target


@every_page
def test_its_files_are_there(page):
    for span in spans(page):
        # What starts in the middle of a path is found by its end: `test_erasing.py`.
        if re.fullmatch(r"[\w./@-]+\.(py|sql|lua|md|yml|service|target)", span):
            assert any(f"/{path}".endswith(f"/{span.lstrip('./')}") for path in files()), span
        elif re.fullmatch(r"test_\w+(?<!_)", span):
            assert any(f"/{span}.py" in path for path in files()), span
        elif re.fullmatch(
            rf"({'|'.join(OURS)}|common|config|ops|tests|scripts|docs)/[\w/.-]+", span
        ):
            assert (BASE_DIR / span).exists(), span


@every_page
def test_its_make_targets_are_there(page):
    targets = set(
        re.findall(r"^([a-z-]+):", (BASE_DIR / "Makefile").read_text("utf-8"), re.MULTILINE)
    )
    for line in lines(page):
        if asked := re.match(r"(?:\w+=\S+ )*make ((?:[a-z-]+ ?)+)", line):
            assert set(asked[1].split()) <= targets, line


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of each of Django's commands that a page has."""
    ours = {name for name, app in get_commands().items() if app in OURS}
    for line in lines(page):
        found = re.search(
            r"(?:manage\.py|ops/manage|(?:run --rm web-1|process) manage) (\w.*)", line
        )
        if found and not found[1].startswith("…"):
            # What comes after -- is another program's.
            yield re.split(r"[;|&]| \[| …| -- ", found[1])[0].split()
        elif line.partition(" ")[0] in ours and " -" in line:
            # In passing: `verify --repair`.
            yield line.split()


@every_page
def test_its_commands_are_there(page):
    for name, *words in commands(page):
        there = get_commands()
        assert name in there, name
        command = load_command_class(there[name], name)
        parser = command.create_parser("manage.py", name)
        known_options = set(parser._option_string_actions)
        for word in words:
            if word.startswith("-"):
                assert word.partition("=")[0] in known_options, f"{name} {word}"


@every_page
def test_its_modules_are_there(page):
    for line in lines(page):
        for module, word in re.findall(r"python -m ([\w.]+)(?: (\w+))?", line):
            if module in {"venv", "pip"}:
                continue
            assert find_spec(module), line
            if module == "config.process" and word not in {"", "NAME"}:
                assert word in {*NAMES, "healthy"}, line


@every_page
def test_its_settings_are_there(page):
    known_names = {
        option.name + end
        for section in options.SECTIONS.values()
        for option in section
        for end in (("", options.FILE) if option.secret else ("",))
    }
    # What an example puts into a variable of its own.
    known_names |= set(re.findall(r"\b([A-Z_]+)=\$\(", page.read_text("utf-8")))
    for text in [*spans(page), *blocks(page)]:
        for name in re.findall(r"(?<!\w)([A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9])\b(?!\*)", text):
            if name in known_names or FOREIGN.fullmatch(name):
                continue
            assert re.search(rf"\b{name}\b", code()), f"{name}: {text}"


@every_page
def test_its_routes_are_there(page):
    for text in spans(page):
        asked = re.fullmatch(r"(?:(GET|POST) )?(/[a-z_{][\w/{}.?=<>-]*)", text)
        if not asked or re.match(r"/(opt|etc|var|run|dev|proc|web-\d|root)\b", asked[2]):
            continue
        path = asked[2].partition("?")[0]
        for part, value in PARTS.items():
            path = re.sub(rf"\{{\w*{part}\}}", value, path)
        assert resolve(path).url_name != "unknown", text


# The changelog tells of those that are no more.
@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name
)
def test_its_metrics_are_there(page):
    names = {re.sub("_(bucket|sum|count)$", "", name) for name in known()} | set(known())
    names |= {"strata_client"}
    for text in [*spans(page), *blocks(page)]:
        for name in re.findall(r"\b(strata_[a-z0-9_]+)\b", text):
            assert name in names, name


def test_the_routes_of_the_api_guide_are_in_the_openapi_document():
    paths = yaml.safe_load((BASE_DIR / "docs" / "openapi.yaml").read_text("utf-8"))["paths"]
    guide = (BASE_DIR / "docs" / "api.md").read_text("utf-8")
    plain = {re.sub(r"\{\w+\}", "{}", path) for path in paths}
    for path in re.findall(r"\$URL(/[^\s\"?]*)", guide):
        assert re.sub(r"\$\w+", "{}", path) in plain, path


def test_make_help_lists_every_target_that_is_not_a_file():
    text = (BASE_DIR / "Makefile").read_text("utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    told = set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))
    assert set(shlex.split(phony)) - {"usable"} == told
