"""Whose work a thread is doing: the request or task, for log lines, traces and slow queries.

Set by whoever begins the work, read by what is deep inside it; a thread does one thing at a time.
"""

from __future__ import annotations

import re
import threading
from itertools import count
from os import register_at_fork, urandom
from typing import Any

_SOUND = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}").fullmatch


class _Current(threading.local):
    """What this thread is doing."""

    request_id = ""
    """The request that is being answered, or that sent the task."""
    user_id: Any = None
    """Who asks, once that is known."""
    route = ""
    task = ""
    task_id = ""
    run_id = ""
    """A command's, or a task's own."""


current = _Current()


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


def clear() -> None:
    """Forget what this thread was doing."""
    current.__dict__.clear()
