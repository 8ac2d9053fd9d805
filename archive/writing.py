"""Writing hour objects so that each is there, read back and right, before anything is recorded."""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import chain, islice
from typing import NamedTuple
from uuid import UUID

from archive.contradicted import keep_if_contradicted
from archive.hours import Damaged, Facts, Packed, plain_chunks
from archive.locks import ChatLock
from archive.steps import step
from archive.store import ArchiveUnavailable, Changed, Missing, Store
from archive.threads import Crew

TRIES = 4
FEW = 4
"""So many objects a chat's own thread writes by itself: handing one over costs a tenth of it."""


class Written(NamedTuple):
    """An object that was read back."""

    user_id: UUID
    facts: Facts
    size: int
    etag: str


def read_back(store: Store, key: str, written: Packed) -> tuple[Facts, str, int]:
    """Read an object whole; return what it says of itself, its ETag and size.

    Raises Missing, and Damaged when its bytes are not what it says.
    """
    found = store.get(key)
    facts, chunks = found.facts(), found.chunks
    if written.file is None and found.size == written.size and facts == written.facts:
        raw = b"".join(chunks)
        if raw == written.held:
            # The same bytes have the same digest, which was taken when they were packed.
            return facts, found.etag, found.size
        chunks = iter([raw])
    sha = hashlib.sha256()
    count = 0
    for chunk in plain_chunks(chunks):
        sha.update(chunk)
        count += chunk.count(b"\n")
    if sha.hexdigest() != facts.sha256 or count != facts.count:
        raise Damaged(f"{key} is not what its metadata say")
    return facts, found.etag, found.size


def write_object(
    store: Store, key: str, packed: Packed, lock: ChatLock, *, replaces: str | None
) -> tuple[str, int]:
    """Write an object and read it back; return its ETag and size.

    `replaces` is the ETag of the one that is to be there now, None for none. Where another is
    there, as a run that died leaves it, it is replaced too, but only while the lock is still ours:
    a run that was thought dead must not undo what another has done since.
    """
    replaces = _expected(store, key, packed, lock, replaces)
    for attempt in range(1, TRIES + 1):
        try:
            step("put.before")
            store.put(key, packed, replaces=replaces)
            step("put.after")
        except (Changed, Missing):
            replaces = _there_now(store, key, packed, lock)
            if replaces is None:
                continue
        try:
            facts, etag, size = read_back(store, key, packed)
        except Missing:
            replaces = None
        except Damaged:
            replaces = store.get(key).etag
        except ArchiveUnavailable:
            # It may have broken off in the middle, which passes.
            if attempt == TRIES:
                raise
            replaces = store.get(key).etag
        else:
            if facts == packed.facts:
                step("read_back.after")
                return etag, size
            replaces = etag
    raise ArchiveUnavailable(f"{key} can't be written so that it reads back")


def _expected(
    store: Store, key: str, packed: Packed, lock: ChatLock, replaces: str | None
) -> str | None:
    """Return what is to be there; a server without conditional writes has to be asked."""
    return replaces if store.conditional else _there_now(store, key, packed, lock)


def _there_now(store: Store, key: str, packed: Packed, lock: ChatLock) -> str | None:
    """Return the ETag of what is there instead, None for nothing; raises LockLost.

    Where it holds what the log does not have, it is kept aside first.
    """
    lock.check()
    try:
        etag = store.get(key).etag
        keep_if_contradicted(store, key)
    except Missing:
        return None
    return etag


class Writers:
    """Threads that write objects, for all chats of a run; a chat has only so many on the way."""

    def __init__(self, threads: int) -> None:
        self._crew = Crew(threads, "objects")

    def write_all(
        self, tasks: Iterable[Callable[[], Written]], each: Callable[[Written], None]
    ) -> list[Written]:
        """Run tasks, taken one by one as others end; return their results, or raise an error.

        After an error no further one is begun, and those under way are waited for.
        """
        written: list[Written] = []
        under_way: set[Future[Written]] = set()

        def note(one: Written) -> None:
            written.append(one)
            each(one)

        tasks = iter(tasks)
        few = list(islice(tasks, FEW + 1))
        if len(few) <= FEW:
            for task in few:
                note(task())
            return written
        try:
            for task in chain(few, tasks):
                under_way.add(self._crew.submit(task))
                if len(under_way) >= self._crew.size * 2:
                    done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    for future in done:
                        note(future.result())
            for future in under_way:
                note(future.result())
        finally:
            wait(under_way)
        return written

    def close(self) -> None:
        """End the threads."""
        self._crew.close()
