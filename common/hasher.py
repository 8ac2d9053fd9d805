"""The process that hashes passwords beside a web worker: `python -m common.hasher`.

It imports next to nothing, so that it takes little memory where nobody logs in. What it is asked on
its standard input, a socket, is a name and arguments; it answers (True, result) or (False, error).
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from argon2 import PasswordHasher, exceptions
from argon2.low_level import hash_secret

NICENESS = 19
"""Two passwords at once are sixteen threads: with less they would outweigh everything else."""


def is_right(encoded: str, password: str) -> bool:
    """Say whether a password is the one of an encoded hash."""
    try:
        return PasswordHasher().verify(encoded, password)
    except exceptions.VerificationError:
        return False


CALLS: dict[str, Callable[..., Any]] = {"digest": hash_secret, "is_right": is_right}


def serve(connection: Connection) -> None:
    """Do what is asked for until the other side is gone."""
    with suppress(EOFError, OSError):
        while True:
            name, arguments = connection.recv()
            try:
                answer = True, CALLS[name](**arguments)
            except Exception as error:  # noqa: BLE001 it is raised on the other side
                answer = False, error
            connection.send(answer)


if __name__ == "__main__":
    # Ctrl-C is for the one that it serves, with which it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    serve(Connection(os.dup(0)))
