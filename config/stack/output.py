"""What the person at the terminal sees: every process's lines, with its name before them."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from pathlib import Path
from typing import Final

COLOURS: Final = (36, 35, 34, 33, 32, 96, 95, 94, 93)
RESET: Final = "\x1b[0m"
WIDTH: Final = 9
LARGEST_FILE: Final = 10_000_000
# Older files beside the one that is written: what was logged is to be there when somebody looks,
# however much has been asked since.
OLDER_FILES: Final = 9
# A longer line is cut, so that no single one fills a file.
LONGEST_LINE: Final = 64 * 1024
# What nobody at a terminal needs; the files have it all.
CHATTER: Final = {
    # Tells its life at level I, a hundred lines at each start.
    "s3": re.compile(r"^I\d{4} |^\s*$"),
    # Announces each of its steps.
    "initdb": re.compile(""),
    # Warns of what a background save might meet; ours saves nothing.
    "valkey": re.compile("Memory overcommit must be enabled|ready to exit, bye bye"),
    "postgres": re.compile(
        "LOG:  (?!database system (is|was)|received)"
        "|FATAL:  the database system is (starting up|not yet accepting connections)"
        "|DETAIL:  Consistent recovery state has not been yet reached"
    ),
    "worker": re.compile(r"^\s*$"),
    "beat": re.compile(r"^\s*$"),
}


class Output:
    """Writes lines to the terminal, and each process's to `DATA_DIR/log/<name>.log` as well."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._colours: dict[str, int] = {}
        self._paint = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        # Set once nobody reads us any more.
        self.broken = False

    def say(self, text: str) -> None:
        """Write a line of our own."""
        self._write("strata", f"{time.strftime('%H:%M:%S')} {text}", bold=True)

    def line(self, name: str, text: str) -> None:
        """Write a line of one of the processes."""
        self._keep(name, text)
        chatter = CHATTER.get(name)
        if chatter is None or not chatter.search(text):
            self._write(name, text)

    def _write(self, name: str, text: str, *, bold: bool = False) -> None:
        prefix = f"{name:<{WIDTH}} |"
        if self._paint:
            colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
            prefix = f"\x1b[{colour}m{prefix}{RESET}"
            text = f"\x1b[1m{text}{RESET}" if bold else text
        if self.broken:
            return
        try:
            sys.stdout.write(f"{prefix} {text}\n")
            sys.stdout.flush()
        except OSError:
            self.broken = True
            # Keeps the interpreter from trying, and failing, once more at its end.
            sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115

    def _keep(self, name: str, text: str) -> None:
        path = self._folder / f"{name}.log"
        # A full disk is no reason to stop serving.
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "a", encoding="utf-8") as file:
                file.write(text[:LONGEST_LINE] + "\n")
                full = file.tell() > LARGEST_FILE
            if full:
                self._shift(path)

    def _shift(self, path: Path) -> None:
        """Rename each file to the next number; the oldest goes."""
        files = [path, *(path.with_suffix(f".log.{n}") for n in range(1, OLDER_FILES + 1))]
        for older, newer in zip(reversed(files[1:]), reversed(files[:-1]), strict=True):
            with contextlib.suppress(FileNotFoundError):
                newer.replace(older)


class Lines:
    """Cuts what a process writes into lines."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        os.set_blocking(descriptor, False)
        self._rest = b""

    def read(self) -> tuple[list[str], bool]:
        """Return the whole lines there are by now, and whether more may come."""
        lines: list[str] = []
        while True:
            try:
                chunk = os.read(self.descriptor, 65536)
            except BlockingIOError:
                return lines, True
            if not chunk:
                if self._rest:
                    lines.append(_text(self._rest))
                    self._rest = b""
                return lines, False
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            lines += [_text(line) for line in whole]


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")
