"""Threads of a run: each keeps its connections for as long as the run lasts, and stands back.

Opening a connection to the database costs as much as writing ten objects.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

from django.db import connection

from common.cache import cache

T = TypeVar("T")
TOGETHER_SECONDS = 30.0
NICENESS = 10
"""Requests come first: somebody waits for them."""


class Crew:
    """A thread pool for one run; leaving it waits for what is under way and closes connections."""

    def __init__(self, threads: int, name: str) -> None:
        self.size = threads
        self._pool = ThreadPoolExecutor(threads, name, initializer=stand_back)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def submit(self, act: Callable[..., T], *arguments: Any) -> Future[T]:
        """Have a thread act."""
        return self._pool.submit(act, *arguments)

    def close(self) -> None:
        """End the threads; what was submitted and not cancelled is done first."""
        together = threading.Barrier(self.size)
        for _ in range(self.size):
            self._pool.submit(_let_go, together)
        self._pool.shutdown()


def _let_go(together: threading.Barrier) -> None:
    """Close a thread's connections; each thread of the pool takes part once.

    Not for ever: after a second Ctrl-C not all may come.
    """
    try:
        let_go()
    finally:
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(TOGETHER_SECONDS)


def let_go() -> None:
    """Close this thread's connections."""
    connection.close()
    cache.close()


def stand_back() -> None:
    """Take a thread's priority down, where the system has one for each."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
