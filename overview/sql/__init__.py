"""The statements of this room."""

from pathlib import Path


def read_sql(name: str) -> str:
    """Return a statement of this folder."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
