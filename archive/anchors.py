"""Where the audit log has got to, told to the bucket: who cuts off its end has to do it there too.

    _system/audit/{number}-{hash}-{time of the entry}

The key says it all, so one listing reads every anchor. Written each few minutes and with each
backup where there is something new, never changed, and not subject to retention.
"""

from datetime import UTC, datetime

import orjson

from archive.hours import Packer
from archive.snapshot import PREFIX as SYSTEM
from archive.store import Store, brisk
from audit import chain
from audit.chain import Head
from common.times import rfc3339

PREFIX = f"{SYSTEM}audit/"
_TIME = "%Y%m%dT%H%M%SZ"


def note(store: Store) -> bool:
    """Tell the bucket how far the log has got; return False where there is nothing new."""
    head = chain.newest()
    if not head.id or head.at is None:
        return False
    key = f"{PREFIX}{head.id:012d}-{head.hash.hex()}-{head.at:{_TIME}}"
    if any(True for _ in store.keys(key)):
        return False
    packer = Packer()
    line = {"id": head.id, "hash": head.hash.hex(), "at": rfc3339(head.at)}
    packer.add([(1, orjson.dumps(line))])
    store.put_plain(key, packer.finish().body(), {})
    return True


def seen() -> list[Head]:
    """Return every anchor in the bucket; raises ArchiveUnavailable."""
    return [head for key, _ in brisk.keys(PREFIX) if (head := _head(key)) is not None]


def _head(key: str) -> Head | None:
    try:
        number, digest, at = key.removeprefix(PREFIX).split("-")
        moment = datetime.strptime(at, _TIME).replace(tzinfo=UTC)
        return Head(int(number), bytes.fromhex(digest), moment)
    except ValueError:
        return None
