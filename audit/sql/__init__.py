"""The SQL that numbers, chains and guards the audit log."""

from pathlib import Path

from common.sql import read

FOLDER = Path(__file__).parent


def read_sql(name: str) -> str:
    """Return the text of a file."""
    return read(FOLDER / name)
