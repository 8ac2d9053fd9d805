"""The SQL that numbers, chains and guards the audit log."""

from pathlib import Path

FOLDER = Path(__file__).parent


def read_sql(name: str) -> str:
    """Return the text of a file."""
    return (FOLDER / name).read_text(encoding="utf-8")
