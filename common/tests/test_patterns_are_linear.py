"""Every pattern in the code takes time in proportion to its text, on the worst that we can think of."""

import ast
import re
import time
from collections.abc import Iterator
from pathlib import Path

# The names that Python 3.11 and later have for its own parser of patterns.
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
USES = {"compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}
FEW, SHORT, LONG = 22, 250, 1500
# Below this a machine that is busy tells nothing.
FLOOR_SECONDS = 0.003
# Six times the length: a linear pattern takes 6 times as long, a quadratic one 36 times.
TIMES = 14.0
ANY_TEXT = [" ", "a", "A", "0", "\n", "\t", "-", ".", "/", '"', "\\", "\x0b", "é", ";", "="]


def patterns() -> Iterator[tuple[str, str, int]]:
    """Yield each literal pattern of the code that runs: where it stands, itself, its flags."""
    for path in sorted(ROOT.rglob("*.py")):
        inside = path.relative_to(ROOT)
        if inside.parts[0] in {".venv", "tests", "clients", "scripts"} or "tests" in inside.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "re"
                and node.func.attr in USES
                and node.args
                and isinstance(node.args[0], ast.Constant)
                and isinstance(node.args[0].value, str)
            ):
                flags = [
                    getattr(re, name.attr)
                    for name in ast.walk(node)
                    if isinstance(name, ast.Attribute)
                    and isinstance(getattr(re, name.attr, None), re.RegexFlag)
                ]
                yield f"{inside}:{node.lineno}", node.args[0].value, sum(flags)


def sample(tokens: Any) -> str:
    """Return a text that a piece of a pattern takes, as short as may be."""
    out = ""
    for op, argument in tokens:
        if op in (codes.LITERAL, codes.NOT_LITERAL):
            out += chr(argument) if op is codes.LITERAL else chr((argument + 1) % 0x80 or 97)
        elif op is codes.ANY:
            out += "a"
        elif op is codes.IN:
            out += member(argument)
        elif op in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            out += sample(argument[2]) * max(argument[0], 1)
        elif op is codes.SUBPATTERN:
            out += sample(argument[3])
        elif op is codes.BRANCH:
            out += sample(argument[1][0])
    return out


def member(choices: Any) -> str:
    """Return one character of a set."""
    kinds = {
        codes.CATEGORY_DIGIT: "0", codes.CATEGORY_SPACE: " ", codes.CATEGORY_WORD: "a",
        codes.CATEGORY_NOT_SPACE: "a", codes.CATEGORY_NOT_DIGIT: "a", codes.CATEGORY_NOT_WORD: "-",
    }  # fmt: skip
    denied = choices[0][0] is codes.NEGATE
    for op, argument in choices:
        if op is codes.LITERAL and not denied:
            return chr(argument)
        if op is codes.RANGE and not denied:
            return chr(argument[0])
        if op is codes.CATEGORY and not denied:
            return kinds[argument]
    return "~" if denied else "a"


def repeated(tokens: Any) -> Iterator[str]:
    """Yield what a pattern repeats without end, here and in what it holds."""
    for op, argument in tokens:
        if op in (codes.MAX_REPEAT, codes.MIN_REPEAT):
            if argument[1] is codes.MAXREPEAT:
                yield sample(argument[2])
            yield from repeated(argument[2])
        elif op is codes.SUBPATTERN:
            yield from repeated(argument[3])
        elif op is codes.BRANCH:
            for branch in argument[1]:
                yield from repeated(branch)
        elif op in (codes.ASSERT, codes.ASSERT_NOT):
            yield from repeated(argument[1])


def worst(pattern: str, flags: int, length: int) -> Iterator[str]:
    """Yield texts that make a pattern try again and again: runs of what it takes, then none."""
    parsed = parser.parse(pattern, flags)
    whole = sample(parsed)
    for run in dict.fromkeys([*repeated(parsed), whole, *ANY_TEXT]):
        if run:
            for before in ("", whole, whole[:1]):
                for after in ("", "\x00", "~\n", whole[-1:]):
                    yield (before + run * (length // len(run)))[:length] + after


def seconds(compiled: re.Pattern[str], text: str) -> float:
    """Return the CPU time of all that may be done with a pattern: the least of three."""
    found = []
    for _ in range(3):
        started = time.thread_time()
        compiled.search(text)
        compiled.fullmatch(text)
        for _each in compiled.finditer(text):
            pass
        found.append(time.thread_time() - started)
    return min(found)


def slowest(pattern: str, flags: int = 0) -> str | None:
    """Return the beginning of a text that takes far more time than its length explains, if any."""
    compiled = re.compile(pattern, flags)
    # What takes time by a power of the length would not end with a long text.
    for text in worst(pattern, flags, FEW):
        if seconds(compiled, text) > FLOOR_SECONDS:
            return text
    pairs = zip(worst(pattern, flags, SHORT), worst(pattern, flags, LONG), strict=True)
    for short, long in pairs:
        used = seconds(compiled, long)
        if used > FLOOR_SECONDS and used > TIMES * seconds(compiled, short):
            return long[:20]
    return None


ALL = list(patterns())


@pytest.mark.parametrize(
    ("pattern", "flags"), [one[1:] for one in ALL], ids=[one[0] for one in ALL]
)
def test_a_pattern_is_linear(pattern: str, flags: int) -> None:
    assert slowest(pattern, flags) is None


@pytest.mark.parametrize(
    "pattern", [r"\s*\b(?:DETAIL|CONTEXT):.*", r"(a+)+$", r"(\w+\s?)*:", r" +$"]
)
def test_a_pattern_that_is_not_linear_is_found(pattern: str) -> None:
    assert slowest(pattern[:], re.DOTALL) is not None


def test_patterns_are_found_where_they_stand() -> None:
    found = {where.partition(":")[0] for where, _, _ in ALL}
    assert {"common/logs.py", "common/ids.py", "config/wsgi.py", "audit/export.py"} <= found
