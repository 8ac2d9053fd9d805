"""Objects of `_system/`: written signed and read back, and taken only where the signature is right.

The signature is over the key, what the object is for, its lines and their digest, so that none can
be made, changed or moved by somebody who has the bucket but not the archive key.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from archive.hours import Damaged, Packed, Packer, plain_chunks, split_lines
from archive.signatures import Unsigned
from archive.store import ArchiveUnavailable, Found, Missing, Store
from common import archive_key

PURPOSE = "object of _system"
VERSION = "1"
TRIES = 4
PORTION = 1000


def metadata_of(key: str, count: int, sha256: str) -> dict[str, str]:
    """Return the metadata of an object that is about to be written at a key."""
    text = _text(key, str(count), sha256, VERSION)
    return {
        "count": str(count),
        "sha256": sha256,
        "version": VERSION,
        "signature": archive_key.sign(PURPOSE, text),
    }


def digest_of(key: str, metadata: dict[str, str]) -> str:
    """Return the digest that an object's signature vouches for; raises Unsigned."""
    sha256 = metadata.get("sha256", "")
    signature = metadata.get("signature", "")
    if not signature:
        raise Unsigned("it is not signed")
    text = _text(key, metadata.get("count", ""), sha256, metadata.get("version", ""))
    if not archive_key.is_signed(signature, PURPOSE, text):
        if archive_key.key_id_of(signature) not in archive_key.ids():
            raise Unsigned("it is signed with a key that ARCHIVE_KEY does not have")
        raise Unsigned("its signature is not right")
    return sha256


def packed_lines(lines: Iterable[Any]) -> Packed:
    """Return an object of these lines, each whatever JSON can hold."""
    packer, some = Packer(), list[tuple[int, bytes]]()
    for number, line in enumerate(lines, 1):
        some.append((number, orjson.dumps(line, option=orjson.OPT_SORT_KEYS)))
        if len(some) == PORTION:
            packer.add(some)
            some = []
    packer.add(some)
    return packer.finish()


def put(store: Store, key: str, packed: Packed) -> None:
    """Write an object, signed, whatever was there, and read it back; raises Damaged."""
    facts = packed.facts
    metadata = metadata_of(key, facts.count, facts.sha256)
    for attempt in range(1, TRIES + 1):
        store.put_plain(key, packed.body(), metadata)
        try:
            check(store, key, facts.sha256)
        except (Missing, Damaged, ArchiveUnavailable):
            if attempt == TRIES:
                raise
        else:
            return


def check(store: Store, key: str, sha256: str, *, unsigned: bool = False) -> None:
    """Read an object whole; raises Damaged unless it is signed and of that digest."""

    def compare(found: Found) -> None:
        _compare_signature(key, found, sha256, unsigned=unsigned)
        sha = hashlib.sha256()
        for chunk in plain_chunks(found.chunks):
            sha.update(chunk)
        if sha.hexdigest() != sha256:
            raise Damaged(f"{key} is not what was written")

    store.read(key, compare)


def _compare_signature(key: str, found: Found, sha256: str | None, *, unsigned: bool) -> str | None:
    if unsigned:
        return sha256
    signed = digest_of(key, found.metadata)
    if sha256 not in (None, signed):
        raise Damaged(f"{key} is another one than is wanted")
    return signed


def read_plain(store: Store, key: str, most_bytes: int, *, unsigned: bool = False) -> bytes:
    """Return a small object's plain bytes; raises Missing, Damaged, Unsigned."""

    def take(found: Found) -> bytes:
        wanted = _compare_signature(key, found, None, unsigned=unsigned)
        plain = b""
        for chunk in plain_chunks(found.chunks):
            plain += chunk
            if len(plain) > most_bytes:
                raise Damaged(f"{key} is larger than any")
        if wanted is not None and hashlib.sha256(plain).hexdigest() != wanted:
            raise Damaged(f"{key} is not what was written")
        return plain

    return store.read(key, take)


def read_lines(
    store: Store, key: str, *, sha256: str | None = None, unsigned: bool = False
) -> Iterator[Any]:
    """Yield an object's lines, parsed; raises Missing, Damaged, ArchiveUnavailable.

    Where it is read to its end and is not what was written that is raised in the end, so whoever
    acts on lines before has called `check`. One that breaks off is read again and gone on with.
    """
    given = 0
    for attempt in range(1, TRIES + 1):
        found, sha = store.get(key), hashlib.sha256()
        wanted = _compare_signature(key, found, sha256, unsigned=unsigned)
        try:
            for number, raw in enumerate(split_lines(plain_chunks(found.chunks))):
                sha.update(raw + b"\n")
                if number >= given:
                    given += 1
                    yield orjson.loads(raw)
        except ValueError as error:
            raise Damaged(f"{key} can't be read") from error
        except ArchiveUnavailable:
            if attempt == TRIES:
                raise
        else:
            if wanted is not None and sha.hexdigest() != wanted:
                raise Damaged(f"{key} is not what was written")
            return


def whole_lines(store: Store, key: str) -> list[Any]:
    """Return all lines of a small object, parsed; one that comes out wrong is read again.

    Raises Missing, Damaged, ArchiveUnavailable.
    """

    def take(found: Found) -> list[Any]:
        wanted, sha = digest_of(key, found.metadata), hashlib.sha256()
        lines = []
        for raw in split_lines(plain_chunks(found.chunks)):
            sha.update(raw + b"\n")
            lines.append(raw)
        if sha.hexdigest() != wanted:
            raise Damaged(f"{key} is not what was written")
        return [orjson.loads(line) for line in lines]

    return store.read(key, take)


def _text(key: str, count: str, sha256: str, version: str) -> str:
    return f"{key}\n{count}\n{sha256}\n{version}"
