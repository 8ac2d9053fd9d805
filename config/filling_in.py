"""Templates of configuration: values in braces, and parts that are left out or repeated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_BEGINNING = re.compile(r"\{\{#(\w+)\}\}\n")
_VALUE = re.compile(r"\{\{(\w+|\.)\}\}")


def fill_in(text: str, values: Mapping[str, Any]) -> str:
    """Return a template's text with its values in place.

    `{{name}}` is a value. What stands between lines `{{#name}}` and `{{/name}}` is there once for
    each entry of a list, which is `{{.}}` or has names of its own, or once for anything else that
    is not empty.
    """
    lines = text.splitlines(keepends=True)
    ends: dict[str, int] = {}
    filled: list[str] = []
    place = 0
    while place < len(lines):
        begun = _BEGINNING.fullmatch(lines[place])
        end = _end_of(begun[1], lines, place, ends) if begun else None
        if begun is None or end is None:
            filled.append(_VALUE.sub(lambda match: str(values[match[1]]), lines[place]))
            place += 1
            continue
        part = "".join(lines[place + 1 : end])
        value = values[begun[1]]
        if isinstance(value, list | tuple):
            filled += [fill_in(part, {**values, **_named(one)}) for one in value]
        elif value:
            filled.append(fill_in(part, values))
        place = end + 1
    return "".join(filled)


def _named(entry: Any) -> Mapping[str, Any]:
    return entry if isinstance(entry, Mapping) else {".": entry}


def _end_of(name: str, lines: list[str], place: int, ends: dict[str, int]) -> int | None:
    """Return where the part that begins at a place ends, None where it does not (remembered)."""
    if ends.get(name, 0) < len(lines):
        wanted = f"{{{{/{name}}}}}\n"
        for end in range(max(place + 1, ends.get(name, 0)), len(lines)):
            if lines[end] == wanted:
                ends[name] = end
                return end
        ends[name] = len(lines)
    return None
