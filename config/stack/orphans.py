"""Find and end what an earlier stack of the same DATA_DIR left running.

The kernel ends the children of a supervisor that is killed, but not the children of a child that
was killed in the same moment. PostgreSQL and nginx write over their titles and environments, so
servers are found by where they work, everything else by a variable that only our children carry.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from config.stack.process import lives, wait_for_ends

MARK = "STRATA_STACK"
SERVERS = frozenset({"postgres", "initdb", "valkey-server", "weed", "nginx"})


def end_orphans(folder: Path) -> int:
    """Kill every process of this folder's earlier stack; return how many there were.

    Only for the holder of the folder's lock: everything found is then nobody's.
    """
    found = list(_orphans(folder))
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.kill()
    wait_for_ends(found)
    return len(found)


def working_in(folder: Path) -> list[psutil.Process]:
    """Return the servers that work in this folder or below it."""
    return [process for process in _living() if _is_server_in(process, folder)]


def _orphans(folder: Path) -> Iterator[psutil.Process]:
    for process in _living():
        if process.pid == os.getpid():
            continue
        if _is_marked(process, folder) or _is_server_in(process, folder):
            yield process


def _living() -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if lives(process):
                yield process


def _is_marked(process: psutil.Process, folder: Path) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        return process.environ().get(MARK) == str(folder)
    return False


def _is_server_in(process: psutil.Process, folder: Path) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        if Path(process.exe().removesuffix(" (deleted)")).name in SERVERS:
            where = process.cwd().removesuffix(" (deleted)")
            return Path(where).is_relative_to(folder)
    return False
