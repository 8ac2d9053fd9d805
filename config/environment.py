"""The file `DATA_DIR/env`, in which a running local stack says how to reach its servers."""

from __future__ import annotations

import os
from pathlib import Path

from dotenv import dotenv_values

from config.options import BASE_DIR, DATA_DIR


def data_dir() -> Path:
    """Return the absolute DATA_DIR; a relative one is taken from the checkout."""
    return BASE_DIR / (os.environ.get(DATA_DIR.name) or DATA_DIR.default)


def load_stack_environment() -> None:
    """Take from `DATA_DIR/env` each variable that is not set already; no file is fine."""
    for name, value in dotenv_values(data_dir() / "env", interpolate=False).items():
        if value is not None:
            os.environ.setdefault(name, value)
