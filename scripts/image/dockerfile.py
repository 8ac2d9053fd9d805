"""Reads a Dockerfile: stages of instructions, with what ARG and ENV make of `${NAME}` in them.

Of the language it knows what ours uses, and refuses the rest, so that nothing is skipped silently.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

KNOWN = {
    *("ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN"),
    *("STOPSIGNAL", "USER", "WORKDIR"),
}
_PAIR = re.compile(r"""([A-Za-z_][\w.-]*)=("(?:\\.|[^"\\])*"|\S*)\s*""")
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")


class NotUnderstood(Exception):
    """The Dockerfile says something that this reader does not know."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its continued lines joined."""

    name: str
    text: str
    line: int


@dataclass(slots=True)
class Stage:
    """What stands between one FROM and the next."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)


def instructions(text: str) -> Iterator[Instruction]:
    """Yield each instruction."""
    joined, since = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or (not joined and not line.strip()):
            continue
        if not joined:
            since = number
        if line.endswith("\\"):
            joined += line[:-1]
            continue
        name, _, rest = (joined + line).strip().partition(" ")
        joined = ""
        if name.upper() not in KNOWN:
            raise NotUnderstood(f"line {since}: {name} is not known here")
        yield Instruction(name.upper(), rest.strip(), since)


def stages(path: Path) -> list[Stage]:
    """Return a Dockerfile's stages."""
    found: list[Stage] = []
    for instruction in instructions(path.read_text(encoding="utf-8")):
        if instruction.name == "FROM":
            base, _, name = instruction.text.partition(" AS ")
            found.append(Stage(base.strip(), name.strip() or str(len(found))))
        elif not found:
            raise NotUnderstood(f"line {instruction.line}: {instruction.name} before FROM")
        else:
            found[-1].instructions.append(instruction)
    return found


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Return a text with the values of its variables; an unknown one is refused."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in variables:
            raise NotUnderstood(f"${name} has no value")
        return variables[name]

    return _VARIABLE.sub(value, text)


def pairs(text: str) -> dict[str, str]:
    """Return the names and values of an ENV or ARG."""
    found = {name: value.strip('"') for name, value in _PAIR.findall(text)}
    if _PAIR.sub("", text).strip():
        raise NotUnderstood(f"not names and values: {text}")
    return found


def listed(text: str) -> list[str]:
    """Return an ENTRYPOINT's or CMD's list."""
    value = json.loads(text)
    if not isinstance(value, list):
        raise NotUnderstood(f"no list: {text}")
    return [str(part) for part in value]
