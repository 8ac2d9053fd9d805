"""The file `DATA_DIR/env`, in which a running local stack says how to reach its servers."""

from __future__ import annotations

import os
import re
from pathlib import Path

from dotenv import dotenv_values

from config.options import BASE_DIR, DATA_DIR, FILE

_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./*-]*")


def data_dir() -> Path:
    """Return the absolute DATA_DIR; a relative one is taken from the checkout."""
    return BASE_DIR / (os.environ.get(DATA_DIR.name) or DATA_DIR.default)


def load_stack_environment() -> None:
    """Take from `DATA_DIR/env` each variable that is not set already; no file is fine."""
    for name, value in dotenv_values(data_dir() / "env", interpolate=False).items():
        # Who names a secret's file means that one.
        if value is not None and not os.environ.get(name + FILE):
            os.environ.setdefault(name, value)


def env_line(name: str, value: str) -> str:
    """Return a line that a shell's `.` and a dotenv reader both take for this value."""
    if _PLAIN.fullmatch(value):
        return f"{name}={value}\n"
    if "'" not in value and "\n" not in value:
        return f"{name}='{value}'\n"
    # In double quotes both take a backslash off these two; the rest would differ.
    if any(character in value for character in "$`\n"):
        raise ValueError(f"{name} has a value that shells and dotenv readers would not read alike")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"\n'
