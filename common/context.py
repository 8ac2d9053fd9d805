"""Whose work a thread is doing: the request or task, for log lines, traces and slow queries.

Set by whoever begins the work, read by what is deep inside it; a thread does one thing at a time.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from itertools import count
from os import register_at_fork, urandom
from typing import Any

REQUEST_ID_HEADER = "X-Request-ID"
_SOUND = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}").fullmatch


class _Current(threading.local):
    """What this thread is doing."""

    request: Any = None
    """The request that is being answered."""
    request_id = ""
    user_id: Any = None
    """Who asks, once that is known."""


current = _Current()

process: dict[str, str] = {}
"""What this process is doing as a whole: its command's `run_id`, its task's `task_id`.

A worker's process does one task at a time, in as many threads as it likes.
"""


trace_id: Callable[[], str] | None = None
"""Returns the present trace's id, where traces are on (`config/tracing.py`)."""


class _Ids:
    """Ids that no two processes share: a random beginning and a number, 0.2 µs each."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin with other random digits, as a forked child must."""
        self._prefix = urandom(10).hex()
        self._numbers = count(1)

    def __call__(self) -> str:
        """Return the next one: 32 lower-case hexadecimal digits, which make a W3C trace id too."""
        return f"{self._prefix}{next(self._numbers):012x}"


new_id = _Ids()
register_at_fork(after_in_child=new_id.renew)


def sound_id(text: str) -> bool:
    """Say whether a request id from outside may go into logs and headers."""
    return _SOUND(text) is not None


def shown() -> dict[str, str]:
    """Return what is being done, by name, for a line of the log."""
    found = dict(process)
    if trace_id is not None and (trace := trace_id()):
        found["trace_id"] = trace
    request = current.request
    if current.request_id:
        found["request_id"] = current.request_id
    if request is not None:
        match = request.resolver_match
        if match is not None and match.view_name:
            found["route"] = match.view_name
        # A session's user, where somebody has asked for them; not fetched for a line of the log.
        user_id = current.user_id or getattr(getattr(request, "_cached_user", None), "pk", None)
        if user_id is not None:
            found["user_id"] = user_id.decode() if type(user_id) is bytes else str(user_id)
    return found
