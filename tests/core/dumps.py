"""The tests' database as pg_dump has it, brought back into the same database by pg_restore."""

import os
import subprocess
from pathlib import Path

from django.db import connection

from config.stack.postgres import binaries


def _run(program: str, *arguments: str) -> None:
    named = connection.settings_dict
    environment = {
        **os.environ,
        "PGHOST": str(named["HOST"]),
        "PGPORT": str(named["PORT"]),
        "PGUSER": str(named["USER"]),
        "PGPASSWORD": str(named["PASSWORD"]),
    }
    done = subprocess.run(
        [str(binaries() / program), "--dbname", str(named["NAME"]), *arguments],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def dump(file: Path) -> None:
    """Write the database as it is now into a file."""
    _run("pg_dump", "--format=custom", "--file", str(file))


def bring_back(file: Path) -> None:
    """Make the database what it was when it was dumped; connections to it stay open."""
    _run("pg_restore", "--clean", "--if-exists", "--single-transaction", str(file))
