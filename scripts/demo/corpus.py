"""Real dialogs to replay: those of the `chatterbot-corpus` package, in all its languages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import yaml


@dataclass(frozen=True, slots=True)
class Dialog:
    """Lines that two speakers say in turn."""

    language: str
    category: str
    lines: Sequence[str]


def folder() -> Path:
    """Return where the package keeps its dialogs, one folder per language."""
    spec = find_spec("chatterbot_corpus")
    if spec is None or spec.origin is None:
        raise SystemExit("The package chatterbot-corpus is not installed: run `make install`.")
    return Path(spec.origin).parent / "data"


def languages() -> list[str]:
    """Return the languages that there are dialogs in."""
    return sorted(path.name for path in folder().iterdir() if any(path.glob("*.yml")))


def dialogs(language: str) -> Iterator[Dialog]:
    """Yield a language's dialogs, one of each category in turn."""
    files = []
    for path in sorted((folder() / language).glob("*.yml")):
        # The plain loader: `Yes` and `1066` are texts here, not a truth and a number.
        document = yaml.load(path.read_text(encoding="utf-8"), yaml.CBaseLoader)  # noqa: S506  # nosec B506 # CBaseLoader makes texts, lists and maps alone
        said = (document or {}).get("conversations") or []
        # Some entries are one text instead of a list of them.
        files.append([(path.stem, [one] if isinstance(one, str) else one) for one in said])
    for place in range(max(map(len, files), default=0)):
        for file in files:
            if place < len(file):
                category, lines = file[place]
                texts = [line for line in lines if isinstance(line, str) and line]
                if texts:
                    yield Dialog(language, category, texts)


def choose(wanted: Sequence[str], messages: int) -> list[Dialog]:
    """Return dialogs of all wanted languages, in turn, that have about so many lines together.

    A language that runs out leaves its share to the others.
    """
    sources = {language: dialogs(language) for language in wanted}
    chosen: dict[str, list[Dialog]] = defaultdict(list)
    left = messages
    while sources and left > 0:
        for language in list(sources):
            dialog = next(sources[language], None)
            if dialog is None:
                del sources[language]
            elif left > 0:
                chosen[language].append(dialog)
                left -= len(dialog.lines)
    return [dialog for language in wanted for dialog in chosen[language]]
