"""What the archive's commands have in common: what they say, how they end, and that Ctrl-C is safe.

Exit status: 0 done, 1 something failed or was found wrong, 2 wrong use, 130 interrupted.
"""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandParser

from archive.hours import hour_from
from archive.runs import FAILURES, Shower, Silent, reason_of
from audit import actors
from audit.models import Action
from audit.services import Target, record

logger = logging.getLogger("archive")
INTERRUPTED = 130
_OF_DJANGO = frozenset(
    {
        *("verbosity", "settings", "pythonpath", "traceback", "no_color", "force_color"),
        *("skip_checks", "json"),
    }
)


class Bar:
    """A progress bar with rate and remaining time."""

    def __init__(self, title: str) -> None:
        from rich.console import Console  # noqa: PLC0415 - only where somebody looks
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            MofNCompleteColumn,
            Progress,
            ProgressColumn,
            Task,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.text import Text  # noqa: PLC0415

        class Rate(ProgressColumn):
            """How many a second; rich knows none before the second step."""

            def render(self, task: Task) -> Text:
                return Text(f"{task.speed or 0:,.0f}/s")

        self._progress = Progress(
            TextColumn(title),
            BarColumn(),
            MofNCompleteColumn(),
            Rate(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task(title, total=None)
        self._progress.start()

    def total(self, messages: int) -> None:
        """Take how many there are to go."""
        self._progress.update(self._task, total=messages)

    def advance(self, messages: int) -> None:
        """Take how many more are done."""
        self._progress.advance(self._task, messages)

    def stop(self) -> None:
        """Leave the bar as it is."""
        self._progress.stop()


class _Interrupt:
    """What Ctrl-C does: once, what is under way is waited for; twice, it ends as a kill does.

    That is safe too: whatever a run records it records whole.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._asked = False

    def __call__(self, *signal_and_frame: Any) -> None:
        if self._asked:
            os._exit(INTERRUPTED)
        self._asked = True
        sys.stderr.write(f"\n{self._name}: finishing what is under way; Ctrl-C again ends it.\n")
        raise KeyboardInterrupt


@contextmanager
def _interruptible(name: str) -> Iterator[None]:
    """Have Ctrl-C do so, where this is the process' own thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _Interrupt(name))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class ArchiveCommand(BaseCommand):
    """A run of the archive from the command line."""

    dry = True
    """Whether the run deletes or writes, so that it can be asked what it would do."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what all take."""
        if self.dry:
            parser.add_argument(
                "--dry-run", action="store_true", help="say what would be done and do nothing"
            )
        parser.add_argument("--json", action="store_true", help="print the report as one JSON line")

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Remember what is asked, for the audit log."""
        self.asked = {
            name: str(value)
            for name, value in options.items()
            if name not in _OF_DJANGO and value not in (None, False, "", [])
        }
        return super().execute(*args, **options)

    def note(self, name: str) -> None:
        """Record who runs this by hand, before it begins: a run that is killed is in the log too.

        Not where it only says what it would do.
        """
        if "dry_run" in self.asked:
            return
        action, target = Action(name) if name in Action.values else None, Target("archive", name)
        if name == "erase" and "user" in self.asked:
            action, target = Action.ERASE_USER, Target("user", self.asked["user"])
        elif name == "erase":
            place = f"{self.asked.get('chat')}/{self.asked.get('seq')}"
            action, target = Action.REDACT, Target("message", place)
        if action is not None:
            record(action, by=actors.process(), target=target, after={"asked": self.asked})

    def finish(self, run: Callable[[Shower], dict[str, Any]], *, as_json: bool) -> None:
        """Run, report in one line here and one in the log, and exit with the right status."""
        name = self.__module__.rpartition(".")[2]
        bar = Bar(name) if sys.stderr.isatty() and not as_json else None
        try:
            with _interruptible(name):
                self.note(name)
                report = run(bar or Silent())
        except KeyboardInterrupt:
            self.stderr.write(f"{name}: interrupted. What was recorded stands; run it again.")
            sys.exit(INTERRUPTED)
        except FAILURES as error:
            report = {"command": name, "ok": False, "failures": [reason_of(error)]}
        finally:
            if bar:
                bar.stop()
        logger.log(logging.INFO if report["ok"] else logging.ERROR, "%s: %s", name, shown(report))
        self.stdout.write(orjson.dumps(report).decode() if as_json else shown(report))
        if not report["ok"]:
            sys.exit(1)


def shown(report: dict[str, Any]) -> str:
    """Return a report as a line for people."""
    parts = ["done" if report["ok"] else "NOT done"]
    for key, value in report.items():
        if key == "failures":
            parts.append("; ".join(value))
        elif isinstance(value, bool) and key != "ok":
            parts += [key.replace("_", " ")] if value else []
        elif key not in ("command", "ok"):
            parts.append(f"{key.replace('_', ' ')} {value}")
    return ", ".join(parts)


def hour_argument(text: str) -> int:
    """Return the hour that `2026-11-24T03` names, UTC."""
    try:
        return hour_from(datetime.strptime(text, "%Y-%m-%dT%H").replace(tzinfo=UTC))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no hour; give one such as 2026-11-24T03 (UTC)"
        ) from error
