"""The database's mark in the bucket, for when the cache is lost together with the database."""

from archive import store
from archive.hours import Damaged, Packer, plain_chunks
from archive.store import Found, Missing
from messaging import database_mark
from messaging.database_mark import KEY, Mark, NoMark

MOST_BYTES = 4096


def read() -> Mark | None:
    """Return the mark in the bucket, None where there is none.

    Raises NoMark where what is there can't be read, and ArchiveUnavailable.
    """
    try:
        return store.brisk.read(KEY, _mark)
    except Missing:
        return None
    except Damaged as error:
        raise NoMark from error


def write(mark: Mark) -> None:
    """Write a mark, unless what is there is further; raises ArchiveUnavailable."""
    try:
        there = read()
    except NoMark:
        there = None
    if there is not None and there.number > mark.number:
        return
    packer = Packer()
    packer.add([(1, mark.body())])
    store.patient.put_plain(KEY, packer.finish().body(), {})


def _mark(found: Found) -> Mark:
    plain = b""
    for chunk in plain_chunks(found.chunks):
        plain += chunk
        if len(plain) > MOST_BYTES:
            raise Damaged("the mark is none")
    return database_mark.from_body(plain)
