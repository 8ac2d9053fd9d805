"""Passwords are hashed by a process of its own beside each web worker, which stands back.

Argon2 takes 100 MiB and eight threads for a tenth of a second. In the worker itself it could not
stand back: a thread of low priority that comes out of it wants the interpreter, and whoever lets go
of the interpreter for it waits until such a thread is given a core.

The process is started by the first password, does one at a time, and ends with the worker. Where
nobody is served (commands, tests) passwords are hashed in place.
"""

import socket
import subprocess
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock
from typing import Any

from common.bulkheads import Busy, bulkheads

LONGEST_SECONDS = 30.0
"""After this nobody waits for a hash any more; on a machine that is busy it takes a second."""
TRIES = 2
FOLDER = Path(__file__).parents[1]


class Hasher:
    """The process beside this one; one caller at a time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    @property
    def pid(self) -> int | None:
        """Return the process's id, None while there is none."""
        return self._process.pid if self._process else None

    def call(self, name: str, **arguments: Any) -> Any:
        """Return what one of `hasher.CALLS` returns, or raise what it raises.

        Raises Busy when the process gives no answer: it is ended, and the next call starts another.
        """
        with self._lock:
            for _ in range(TRIES):
                # That one has died since the last password is only seen by asking it.
                with suppress(OSError, EOFError):
                    done, result = self._ask(name, arguments)
                    if done:
                        return result
                    raise result
                self.end()
            raise Busy

    def end(self) -> None:
        """End the process, whatever it does."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._connection = self._process = None

    def _ask(self, name: str, arguments: dict[str, Any]) -> tuple[bool, Any]:
        connection = self._connection or self._start()
        connection.send((name, arguments))
        if not connection.poll(LONGEST_SECONDS):
            self.end()
            raise Busy
        answer: tuple[bool, Any] = connection.recv()
        return answer

    def _start(self) -> Connection:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "common.hasher"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                cwd=FOLDER,
            )
        self._connection = Connection(ours.detach())
        return self._connection


_hasher = Hasher()


def hashed(name: str, **arguments: Any) -> Any:
    """Do one of `hasher.CALLS`: in a web server beside it and one at a time; raises Busy."""
    if not bulkheads.threads:
        from common.hasher import CALLS  # noqa: PLC0415 - a web worker does without

        return CALLS[name](**arguments)
    # One is hashed and one waits for it: who would come after that would wait for long.
    with bulkheads.slow("hashing", in_line=False):
        return _hasher.call(name, **arguments)
