"""Hour objects that hold what the log does not have: kept aside before their place is written anew.

A database that has gone back in time lacks messages that the bucket has, perhaps nothing else does.
A backup that meets such an object keeps it, as it is, and a note of it that a listing finds:

    {user_id}/_contradicted/{year}/{day_of_year}/{hour}/{chat_id}/{digest}
    _system/contradicted/{year}/{day_of_year}/{hour}/{user_id}/{chat_id}/{digest}

They are purged with their hour, erased with their user, and read by verify. docs/going-back.md.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from archive.hours import (
    Damaged,
    Facts,
    Packer,
    hour_path,
    line_of,
    parse_key,
    parse_line,
    plain_chunks,
    seq_of,
    split_lines,
)
from archive.parts import NO_TEXT
from archive.snapshot import PREFIX as SYSTEM
from archive.store import DELETE_AT_ONCE, Found, Missing, Store
from common.database import rows
from common.times import rfc3339
from messaging.models import Message
from messaging.wire import micros_text

logger = logging.getLogger(__name__)
NOTES = f"{SYSTEM}contradicted/"
FOLDER = "_contradicted"
DIGEST_CHARS = 16
PORTION = 1000
_NOTE_PARTS = 6
_REMOVED = Message.Kind.REMOVED
_ROWS = """
SELECT c.last_seq, m.seq, m.sender_id::text, m.kind, m.text,
       (date_part('epoch', m.sent_at) * 1e6)::bigint
  FROM messaging_chat c
  LEFT JOIN messaging_message m ON m.chat_id = c.id AND m.seq = ANY(%(seqs)s::bigint[])
 WHERE c.id = %(chat)s
"""


class Kept(NamedTuple):
    """One object that was kept aside."""

    user_id: UUID
    hour: int
    chat_id: UUID
    digest: str

    @property
    def key(self) -> str:
        """Where it lies."""
        return f"{self.user_id}/{FOLDER}/{hour_path(self.hour)}/{self.chat_id}/{self.digest}"

    @property
    def note(self) -> str:
        """Where it is noted."""
        return f"{NOTES}{hour_path(self.hour)}/{self.user_id}/{self.chat_id}/{self.digest}"


class _Named:
    """What this process has kept aside and no run has named yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: list[str] = []

    def add(self, key: str) -> None:
        """Note one."""
        with self._lock:
            if key not in self._keys:
                self._keys.append(key)

    def take(self) -> list[str]:
        """Return them, and forget them."""
        with self._lock:
            keys, self._keys = self._keys, []
        return keys


named = _Named()


def is_kept(key: str) -> bool:
    """Say whether a key is that of an object that was kept aside."""
    return f"/{FOLDER}/" in key


def keep_if_contradicted(store: Store, key: str) -> str | None:
    """Keep aside what lies under a key if it contradicts the log; return where, else None.

    What can't be read contradicts nothing. Raises Missing and ArchiveUnavailable.
    """
    parsed = parse_key(key)
    if parsed is None:
        return None
    user_id, hour, chat_id = parsed
    try:
        facts = store.read(key, lambda found: _contradicting(found, chat_id))
    except Damaged:
        return None
    if facts is None:
        return None
    kept = Kept(user_id, hour, chat_id, facts.sha256[:DIGEST_CHARS])
    store.copy(key, kept.key)
    if store.read(kept.key, _facts_checked) != facts:
        raise Damaged(f"{key} could not be kept aside")
    store.put_plain(kept.note, b"", {})
    named.add(kept.key)
    logger.warning("%s holds what the log does not have: kept as %s", key, kept.key)
    return kept.key


def _contradicting(found: Found, chat_id: UUID) -> Facts | None:
    """Return what an object says of itself if it contradicts the log; raises Damaged."""
    facts, lines = found.facts(), split_lines(plain_chunks(found.chunks))
    # Each parsed as it comes: of what are no messages, a portion may be more than memory holds.
    messages = (parse_line(raw, str(chat_id), seq_of(raw)) for raw in lines)
    while some := list(islice(messages, PORTION)):
        if _contradict(some, chat_id):
            return facts
    return None


def _contradict(messages: list[dict[str, Any]], chat_id: UUID) -> bool:
    """Say whether messages are others than the log's, or beyond its end.

    What has left the database was in cold storage before, and is the same there. A text that was
    removed here or there is no contradiction.
    """
    found = rows(_ROWS, {"chat": chat_id, "seqs": [message["seq"] for message in messages]})
    last = found[0][0] if found else 0
    known = {row[1]: row[2:] for row in found}
    for message in messages:
        if message["seq"] > last:
            return True
        if message["seq"] not in known:
            continue
        sender_id, kind, text, at = known[message["seq"]]
        if (message["sender_id"], message["sent_at"]) != (sender_id, micros_text(at)):
            return True
        if text != message["text"] and _REMOVED not in (kind, message["kind"]):
            return True
    return False


def _facts_checked(found: Found) -> Facts:
    facts, sha, count = found.facts(), hashlib.sha256(), 0
    for chunk in plain_chunks(found.chunks):
        sha.update(chunk)
        count += chunk.count(b"\n")
    if (sha.hexdigest(), count) != (facts.sha256, facts.count):
        raise Damaged("it is not what its metadata say")
    return facts


def kept_aside(store: Store) -> Iterator[Kept]:
    """Yield all that was kept aside, by its notes; raises ArchiveUnavailable."""
    for key, _ in store.keys(NOTES):
        parts = key.removeprefix(NOTES).split("/")
        if len(parts) == _NOTE_PARTS:
            parsed = parse_key("/".join((parts[3], *parts[:3], parts[4])))
            if parsed is not None:
                yield Kept(*parsed, parts[5])


def drop(store: Store, which: Iterable[Kept]) -> int:
    """Delete what was kept aside, the notes last; return how many; raises ArchiveUnavailable."""
    count = 0
    which = iter(which)
    while some := list(islice(which, DELETE_AT_ONCE)):
        store.delete(kept.key for kept in some)
        store.delete(kept.note for kept in some)
        count += len(some)
    return count


def drop_of(store: Store, user_id: UUID) -> None:
    """Delete what was kept aside of a user's."""
    drop(store, [kept for kept in kept_aside(store) if kept.user_id == user_id])


def problems(store: Store) -> Iterator[tuple[str, Exception]]:
    """Read all that was kept aside; yield what is lost or not what it says."""
    for kept in kept_aside(store):
        try:
            store.read(kept.key, _facts_checked)
        except (Missing, Damaged) as error:
            yield kept.key, error


def erase_texts(
    store: Store, which: Callable[[dict[str, Any]], bool], *, chat_id: UUID | None = None
) -> int:
    """Take texts out of what was kept aside; return how many objects were written again.

    `which` says of a message, with `chat_id`, of one chat, whether its text is to go. One that
    can't be read keeps nothing that could be shown: it is deleted.
    """
    count = 0
    for kept in list(kept_aside(store)):
        if chat_id is not None and kept.chat_id != chat_id:
            continue
        try:
            count += store.read(kept.key, partial(_without, store, kept, which))
        except (Missing, Damaged):
            drop(store, [kept])
    return count


def erase_message(store: Store, chat_id: UUID, seq: int) -> None:
    """Take the text of the log's message out of what was kept aside: its seq is another's there."""
    row = Message.objects.filter(chat=chat_id, seq=seq).first()
    at = None if row is None else rfc3339(row.sent_at)
    erase_texts(store, lambda m: m["seq"] == seq and at in (None, m["sent_at"]), chat_id=chat_id)


def erase_texts_of(store: Store, user_id: UUID) -> None:
    """Take a user's texts out of what was kept aside of others."""
    sender = str(user_id)
    erase_texts(store, lambda message: message["sender_id"] == sender)


def _without(
    store: Store, kept: Kept, which: Callable[[dict[str, Any]], bool], found: Found
) -> int:
    packer, changed = Packer(), False
    lines = split_lines(plain_chunks(found.chunks))
    while some := list(islice(lines, PORTION)):
        written = []
        for raw in some:
            message = parse_line(raw, str(kept.chat_id), seq_of(raw))
            if message["kind"] == Message.Kind.TEXT and which(message):
                raw = line_of(message | NO_TEXT).seen_by(str(kept.user_id).encode())  # noqa: PLW2901
                changed = True
            written.append((message["seq"], raw))
        packer.add(written)
    if changed:
        packed = packer.finish()
        store.put_plain(kept.key, packed.body(), packed.facts.metadata())
    return int(changed)
