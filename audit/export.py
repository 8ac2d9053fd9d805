"""The audit log as CSV: row by row, and without formulas that a spreadsheet would run."""

import csv
import re
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from django.db.models import QuerySet

from audit.models import Entry
from common.times import rfc3339

COLUMNS = (
    "id", "at", "actor_kind", "actor_id", "actor_name", "address", "action", "target_kind",
    "target_id", "target_name", "reason", "before", "after", "session", "request_id", "hash",
)  # fmt: skip
PORTION = 1000
# What a formula begins with, as people type it in wide letters too; at the beginning of a cell, and
# after what a spreadsheet of another country than the comma's takes for the end of one.
_FORMULA = re.compile(r"(^|[;\t\r\n])(?=[^\S\r\n\t]*[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n])")


class _Line:
    """What csv writes to: gives back what it is given."""

    def write(self, text: str) -> str:
        """Return the line."""
        return text


def rows_of(entries: QuerySet[Entry]) -> Iterator[str]:
    """Yield a CSV of entries, newest first, line by line; no more than a portion is in memory."""
    writer = csv.writer(_Line())
    yield writer.writerow(COLUMNS)
    below: int | None = None
    while True:
        # By number and not by a cursor held open: a download may take long.
        portion = entries.order_by("-pk")
        if below is not None:
            portion = portion.filter(pk__lt=below)
        found = list(portion[:PORTION])
        for entry in found:
            yield writer.writerow(list(_cells(entry)))
        if len(found) < PORTION:
            return
        below = found[-1].pk


def _cells(entry: Entry) -> Iterable[str]:
    for name in COLUMNS:
        value: Any = getattr(entry, name)
        if name == "at":
            yield rfc3339(value)
        elif name == "hash":
            yield bytes(value).hex()
        elif name in ("before", "after"):
            yield "" if value is None else safe(orjson.dumps(value).decode())
        else:
            yield "" if value is None else safe(str(value))


def safe(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: such a one gets an apostrophe."""
    return _FORMULA.sub(r"\1'", text)
