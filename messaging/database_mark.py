"""How far a database's history has got, and where that is kept outside of it.

The mark is a number that only grows, with the identity of the database that it is of and the
epoch. The database has it in a row of its own, the cache in the hash `fresh`, the bucket in one
object. A database whose mark is behind what the cache or the bucket has is older than what the
world has seen: `messaging/going_back.py` compares and acts.
"""

from collections.abc import Callable
from typing import NamedTuple

import orjson

KEY = "_system/mark"
"""The bucket's object."""
VERSION = 1


class Mark(NamedTuple):
    """How far a history has got."""

    number: int
    identity: str
    """Which database it is: PostgreSQL's system identifier and timeline, the database's own id, and
    the files of the log's tables, which a restored dump brings anew."""
    epoch: int

    def beyond(self, other: "Mark") -> "Mark":
        """Return what the world has seen when it has seen both; the identity is this one's."""
        return Mark(max(self.number, other.number), self.identity, max(self.epoch, other.epoch))

    def body(self) -> bytes:
        """Return the bucket's object."""
        return orjson.dumps(
            {"version": VERSION, "number": self.number, "database": self.identity,
             "epoch": self.epoch}
        )  # fmt: skip


class NoMark(Exception):
    """What should be a mark is none: it can't be compared with."""


def from_fields(number: bytes | None, identity: bytes | None, epoch: bytes | None) -> Mark | None:
    """Return the mark that the cache has; None where it lost it."""
    if number is None or identity is None:
        return None
    return Mark(int(number), identity.decode(), int(epoch or 0))


def from_body(body: bytes) -> Mark:
    """Return the mark that the bucket's object is; raises NoMark."""
    try:
        found = orjson.loads(body)
        mark = Mark(found["number"], found["database"], found["epoch"])
    except (ValueError, KeyError, TypeError) as error:
        raise NoMark from error
    if not (type(mark.number) is type(mark.epoch) is int and type(mark.identity) is str):
        raise NoMark
    return mark


class Keeper(NamedTuple):
    """A place outside that keeps the mark; both may raise `common.errors.Unavailable`."""

    read: Callable[[], Mark | None]
    write: Callable[[Mark], None]
    """Writes the mark, unless what is there is further."""


keepers: list[Keeper] = []
"""Filled by the rooms that have such a place, when the process starts."""


def kept() -> Mark | None:
    """Return the furthest mark that is kept; raises `Unavailable`, NoMark."""
    furthest: Mark | None = None
    for keeper in keepers:
        found = keeper.read()
        if found is not None:
            furthest = found if furthest is None else found.beyond(furthest)
    return furthest


def keep(mark: Mark) -> None:
    """Have the mark kept; raises `Unavailable`."""
    for keeper in keepers:
        keeper.write(mark)
