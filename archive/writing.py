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
from archive.parts import Known, Part
from archive.signatures import FIRST, generation_of
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
    generation: int


def read_back(store: Store, key: str, written: Packed) -> tuple[Facts, str, int, int]:
    """Read an object whole; return what it says of itself, its ETag, size and generation.

    Raises Missing, and Damaged when its bytes are not what it says, or it is not signed.
    """
    found = store.get(key)
    facts, chunks = found.facts(), found.chunks
    generation = generation_of(key, found.metadata)
    if written.file is None and found.size == written.size and facts == written.facts:
        raw = b"".join(chunks)
        if raw == written.held:
            # The same bytes have the same digest, which was taken when they were packed.
            return facts, found.etag, found.size, generation
        chunks = iter([raw])
    sha = hashlib.sha256()
    count = 0
    for chunk in plain_chunks(chunks):
        sha.update(chunk)
        count += chunk.count(b"\n")
    if sha.hexdigest() != facts.sha256 or count != facts.count:
        raise Damaged(f"{key} is not what its metadata say")
    return facts, found.etag, found.size, generation


def write_object(
    part: Part, user_id: UUID, packed: Packed, lock: ChatLock, *, anew: bool = False
) -> Written:
    """Write a user's object of a part and read it back.

    It replaces the one that the index knows, or, `anew`, whatever is there. Where another is there,
    as a run that died leaves it, it is replaced too, but only while the lock is still ours: a run
    that was thought dead must not undo what another has done since. What is replaced has a smaller
    generation than what replaces it, whoever wrote it.
    """
    key = part.key(user_id)
    replaces, generation = _expected(part, user_id, packed, lock, anew=anew)
    for attempt in range(1, TRIES + 1):
        try:
            step("put.before")
            part.store.put(key, packed, replaces=replaces, generation=generation)
            step("put.after")
        except (Changed, Missing):
            lock.check()
            there = _there_now(part.store, key)
            replaces = there.etag
            if not there.is_it(packed, generation):
                generation = max(generation, there.generation + 1)
                continue
            generation = there.generation
        try:
            facts, etag, size, written = read_back(part.store, key, packed)
        except Missing:
            replaces = None
        except Damaged:
            replaces = _there_now(part.store, key).etag
        except ArchiveUnavailable:
            # It may have broken off in the middle, which passes.
            if attempt == TRIES:
                raise
            replaces = _there_now(part.store, key).etag
        else:
            if facts == packed.facts and written == generation:
                step("read_back.after")
                return Written(user_id, facts, size, etag, generation)
            replaces, generation = etag, max(generation, written + 1)
    raise ArchiveUnavailable(f"{key} can't be written so that it reads back")


def _expected(
    part: Part, user_id: UUID, packed: Packed, lock: ChatLock, *, anew: bool
) -> tuple[str | None, int]:
    """Return the ETag of what is to be there, and which generation is to be written.

    A server without conditional writes has to be asked what is there.
    """
    known = part.known.get(user_id)
    generation = _generation(known, packed)
    if part.store.conditional:
        return (None if anew or known is None else known.etag), generation
    lock.check()
    there = _there_now(part.store, part.key(user_id))
    if there.generation >= generation and there.sha256 != packed.facts.sha256:
        generation = there.generation + 1
    return there.etag, generation


def _generation(known: Known | None, packed: Packed) -> int:
    """Return which writing of a key this is: the same contents once more are the same one."""
    if known is None:
        return FIRST
    same = known.generation and packed.facts.sha256 == known.sha256.hex()
    return known.generation + (not same)


class _There(NamedTuple):
    """What is at a key now; without an ETag nothing, with generation 0 nothing that is signed."""

    etag: str | None = None
    generation: int = 0
    sha256: str = ""

    def is_it(self, packed: Packed, generation: int) -> bool:
        """Say whether it is what was about to be written, as by a run that died."""
        return self.generation >= generation and self.sha256 == packed.facts.sha256


def _there_now(store: Store, key: str) -> _There:
    """Return what is there; where it holds what the log does not have, it is kept aside first."""
    try:
        found = store.get(key)
        keep_if_contradicted(store, key)
    except Missing:
        return _There()
    try:
        return _There(found.etag, generation_of(key, found.metadata), found.facts().sha256)
    except Damaged:
        return _There(found.etag)


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
