"""The copies that users have of one hour of a chat, made into the messages that were sent.

Copies of the same message must agree but for the client_id, which the sender's own copy has. A
damaged copy is passed over while others hold what it held; where two right ones contradict each
other it is said and not guessed.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from archive.hours import Damaged, Facts, key_of, message_from, plain_chunks, split_lines
from archive.store import Missing, Store

AT_ONCE = 16
"""How many copies are in memory at once."""


class Contradiction(Exception):
    """Two copies of a message differ, and both are what their metadata say."""


@dataclass(slots=True)
class Copy:
    """One user's object, as it was read."""

    user_id: UUID
    facts: Facts
    size: int
    etag: str
    plain: bytes


@dataclass(slots=True)
class Hour:
    """One hour of a chat: its messages by seq, what it was read from, and which objects are bad."""

    hour: int
    messages: dict[int, dict[str, Any]] = field(default_factory=dict)
    copies: list[Copy] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)


def read_hour(
    store: Store, chat_id: UUID, hour: int, users: list[UUID], pool: ThreadPoolExecutor
) -> Hour:
    """Read all copies of an hour and merge them; raises Contradiction, ArchiveUnavailable."""
    merged = Hour(hour)
    seen: set[str] = set()

    def fetch(user_id: UUID) -> Copy | str:
        key = key_of(user_id, hour, chat_id)
        try:
            return _copy(store, key, user_id)
        except (Missing, Damaged) as error:
            return f"{key}: {error}"

    for start in range(0, len(users), AT_ONCE):
        for copy in pool.map(fetch, users[start : start + AT_ONCE]):
            if isinstance(copy, str):
                merged.bad.append(copy)
                continue
            merged.copies.append(copy)
            if copy.facts.sha256 not in seen:
                # The same bytes say the same again.
                seen.add(copy.facts.sha256)
                _merge(merged, copy, chat_id)
            copy.plain = b""
    return merged


def _copy(store: Store, key: str, user_id: UUID) -> Copy:
    found = store.get(key)
    facts = found.facts()
    plain = b"".join(plain_chunks(found.chunks))
    if hashlib.sha256(plain).hexdigest() != facts.sha256:
        raise Damaged("it is not what its metadata say")
    return Copy(user_id, facts, found.size, found.etag, plain)


def _merge(merged: Hour, copy: Copy, chat_id: UUID) -> None:
    for raw in split_lines([copy.plain]):
        message = message_from(raw, chat_id)
        first = merged.messages.setdefault(message["seq"], message)
        if first is message:
            continue
        client_ids = {first["client_id"], message["client_id"]} - {None}
        same = all(
            first[name] == message[name] for name in ("sender_id", "kind", "text", "sent_at")
        )
        if not same or len(client_ids) > 1:
            raise Contradiction(
                f"{key_of(copy.user_id, merged.hour, chat_id)} has another message "
                f"{message['seq']} than other members' copies"
            )
        first["client_id"] = next(iter(client_ids), None)
