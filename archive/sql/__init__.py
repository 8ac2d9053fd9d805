"""The archive's SQL, each statement in a file that says what it guarantees."""

from pathlib import Path

FOLDER = Path(__file__).parent


def read_sql(name: str) -> str:
    """Return the text of a statement's file."""
    return (FOLDER / name).read_text(encoding="utf-8")
