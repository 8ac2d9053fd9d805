"""The statements that stand in files of their own, and their names for logs and traces."""

from pathlib import Path

_names: dict[str, str] = {}


def read(path: Path) -> str:
    """Return the text of a statement's file: `messaging/sql/send.sql` is `messaging.send`."""
    text = path.read_text(encoding="utf-8")
    _names[text] = f"{path.parent.parent.name}.{path.stem}"
    return text


def same(text: str, other: str) -> None:
    """Give a statement the name of another: it says the same in another form."""
    if text in _names:
        _names[other] = _names[text]


def shown(statement: object, longest: int = 300) -> str:
    """Return a statement's name, or else its text in one line, cut; it has no parameters in it."""
    text = str(statement)
    name = _names.get(text)
    if name is None:
        name = " ".join(text.split())
    return name if len(name) <= longest else f"{name[:longest]} …"
