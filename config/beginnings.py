"""How paths of routes begin, so that a path which is none costs no search among them all."""

import string
from collections.abc import Iterable
from itertools import takewhile

from django.urls import URLPattern, URLResolver

PLAIN = frozenset(string.ascii_letters + string.digits + "_-")
ENDS = ("/", ".", "\\.", "$")
"""What may follow the first segment in a route, or in its pattern."""
FOR_ALL = frozenset({"root", "unknown"})


def beginning(path: str) -> str:
    """Return the first segment of a path, up to a dot."""
    return path[1:].partition("/")[0].partition(".")[0]


def _literal(route: str) -> str:
    """Return the first segment of a route or pattern, an empty text where it is no plain one."""
    route = route.removeprefix("^")
    word = "".join(takewhile(PLAIN.__contains__, route))
    rest = route[len(word) :]
    return word if not rest or rest.startswith(ENDS) else ""


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
            word = _literal(text)
            if not word:
                return None
            found.add(word)
    return frozenset(found)
