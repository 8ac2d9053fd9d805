"""What every run of the archive has in common: counting, many chats side by side, giving up."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from django.conf import settings
from django.db import DatabaseError
from psycopg import errors

from archive.hours import Damaged
from archive.locks import Busy, LockLost
from archive.store import ArchiveUnavailable, Missing
from archive.threads import Crew, let_go

logger = logging.getLogger(__name__)
FAILURES_IN_A_ROW = 5
"""After so many items in a row for which cold storage or the database failed, a run gives up: it
is away. What is damaged is its own trouble, however much of it there is."""
FAILURES_SHOWN = 20
FAILURES = (ArchiveUnavailable, Missing, Damaged, Busy, LockLost, DatabaseError)

T = TypeVar("T")


class Stopped(Exception):
    """The run is to end: what is recorded stands, and the rest is the next run's."""


def reason_of(error: BaseException) -> str:
    """Return what went wrong as a line for whoever runs this; with what the bucket said of it."""
    if isinstance(error, ArchiveUnavailable) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error.__cause__, errors.UndefinedTable):
        return "the database has not this release's tables: run migrate first"
    reason = " ".join(str(error).split()) or type(error).__name__
    if "RequestTimeTooSkewed" in reason:
        reason += " The clock of the machine that this runs on is wrong: set it, and run it again."
    return reason


class Shower(Protocol):
    """Where a run says how far it is: a progress bar, or nothing."""

    def total(self, messages: int) -> None:
        """Take how many messages there are to go."""

    def advance(self, messages: int) -> None:
        """Take how many more are done."""


class Silent:
    """Shows nothing."""

    def total(self, messages: int) -> None:
        """Ignore it."""

    def advance(self, messages: int) -> None:
        """Ignore it."""


@dataclass(slots=True)
class Tally:
    """What a run did, counted by its threads."""

    counts: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    failed: int = 0
    started: float = field(default_factory=time.monotonic)
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the run is to end, as by Ctrl-C."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _in_a_row: int = 0

    def add(self, **more: int) -> None:
        """Count."""
        with self._lock:
            for name, number in more.items():
                self.counts[name] = self.counts.get(name, 0) + number

    def go_on(self) -> None:
        """Raise Stopped when the run is to end; asked wherever nothing is half-done."""
        if self.stopping.is_set():
            raise Stopped

    def done(self) -> None:
        """Note that something went well."""
        with self._lock:
            self._in_a_row = 0

    def fail(self, what: object, error: BaseException) -> None:
        """Note that something could not be done."""
        reason = reason_of(error)
        logger.warning("%s: %s", what, reason)
        with self._lock:
            self.failed += 1
            if len(self.failures) < FAILURES_SHOWN:
                self.failures.append(f"{what}: {reason}")

    def fail_item(self, item: object, error: BaseException) -> None:
        """Note that all of an item could not be done, and whether others would fail alike."""
        self.fail(item, error)
        with self._lock:
            self._in_a_row += isinstance(error, ArchiveUnavailable | DatabaseError)

    @property
    def hopeless(self) -> bool:
        """Whether so much failed in a row that the rest would too."""
        return self._in_a_row >= FAILURES_IN_A_ROW

    def report(self) -> dict[str, Any]:
        """Return it as data for JSON and the log."""
        seconds = round(time.monotonic() - self.started, 3)
        return {
            "ok": not self.failed,
            **self.counts,
            "failed": self.failed,
            "seconds": seconds,
            **({"failures": self.failures} if self.failures else {}),
        }


def side_by_side(
    items: Iterable[T], act: Callable[[T], None], tally: Tally, *, threads: int | None = None
) -> None:
    """Act on each item, some at once; what fails of the known ways is noted, the rest raised.

    On Ctrl-C no further one is begun, and those under way are waited for until they ask whether
    to go on.
    """
    threads = threads or settings.ARCHIVE_THREADS

    under_way: set[Future[None]] = set()
    with Crew(threads, "chats") as crew:
        try:
            for item in items:
                if tally.hopeless:
                    tally.counts["given_up"] = 1
                    break
                under_way.add(crew.submit(_act, act, item, tally))
                if len(under_way) >= threads * 2:
                    done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
            for future in under_way:
                future.result()
        except BaseException:
            tally.stopping.set()
            raise
        finally:
            for future in under_way:
                future.cancel()


def _act(act: Callable[[T], None], item: T, tally: Tally) -> None:
    try:
        act(item)
    except FAILURES as error:
        tally.fail_item(item, error)
        let_go()
    except Stopped:
        logger.info("%s: left for the next run", item)
    else:
        tally.done()
