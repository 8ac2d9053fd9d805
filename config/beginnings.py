"""How paths of routes begin, so that a path which is none costs no search among them all."""

import re
from collections.abc import Iterable
from typing import Any

from django.urls import URLPattern, URLResolver

LITERAL = re.compile(r"\^?([A-Za-z0-9_-]+)(?=/|\\?\.|\$|$)")
"""The first segment of a route or of its pattern, up to a slash, a dot or its end."""
FOR_ALL = frozenset({"root", "unknown"})


def beginning(path: str) -> str:
    """Return the first segment of a path, up to a dot."""
    return path[1:].partition("/")[0].partition(".")[0]


def beginnings(patterns: Iterable[URLPattern | URLResolver]) -> frozenset[str] | None:
    """Return the beginnings of all routes but the last, which takes any path; None: any may do."""
    found: set[str] = {""}
    for each in patterns:
        text = str(each.pattern)
        if isinstance(each, URLResolver) and not text:
            inner = beginnings(each.url_patterns)
            if inner is None:
                return None
            found |= inner
        elif getattr(each, "name", None) in FOR_ALL and not text:
            continue
        else:
            literal: Any = LITERAL.match(text)
            if literal is None:
                return None
            found.add(literal[1])
    return frozenset(found)
