"""The archive's SQL, each statement in a file that says what it guarantees."""

from pathlib import Path

from common.sql import read

FOLDER = Path(__file__).parent


def read_sql(name: str) -> str:
    """Return the text of a statement's file."""
    return read(FOLDER / name)
