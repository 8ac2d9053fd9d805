"""Templates of configuration: values in braces, and parts that are left out or repeated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SECTION = re.compile(
    r"^\{\{#(?P<name>\w+)\}\}\n(?P<text>.*?)^\{\{/(?P=name)\}\}\n", re.DOTALL | re.MULTILINE
)
_VALUE = re.compile(r"\{\{(\w+|\.)\}\}")


def fill_in(text: str, values: Mapping[str, Any]) -> str:
    """Return a template's text with its values in place.

    `{{name}}` is a value. What stands between lines `{{#name}}` and `{{/name}}` is there once for
    each entry of a list, which is `{{.}}` or has names of its own, or once for anything else that
    is not empty.
    """

    def section(match: re.Match[str]) -> str:
        value = values[match["name"]]
        if not isinstance(value, list | tuple):
            return fill_in(match["text"], values) if value else ""
        return "".join(
            fill_in(match["text"], {**values, **(one if isinstance(one, Mapping) else {".": one})})
            for one in value
        )

    return _VALUE.sub(lambda match: str(values[match[1]]), _SECTION.sub(section, text))
