"""Rows put straight into the tables: as many as would take too long through the API.

They are what the API would have written: a chat's `last_seq` and `last_at` are those of its last
message, seqs have no gap, and `sent_at` grows with them.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.db import connection

from accounts.models import Token, User
from accounts.tokens import digest, new_token
from common.cache import cache
from common.ids import new_id
from common.limits import POLLS
from messaging.models import Chat

TEXT = "A message of ordinary length, such as people write to one another all day long."
BATCH = 2000
# Older than the margin of a cursor, and than what the sweeper looks at.
SETTLED_SECONDS = 60
FORBIDDEN_SECONDS = 3600

_numbers = count(1)

_MEMBERS = """
INSERT INTO messaging_membership (chat_id, user_id, role, first_seq, joined_at)
SELECT chat.id, member.id, 'member', 1, chat.created_at
  FROM messaging_chat chat CROSS JOIN LATERAL (VALUES (chat.low_id), (chat.high_id)) member(id)
 WHERE chat.id = ANY(%(chats)s::uuid[])
"""
_LAST = """
UPDATE messaging_chat chat
   SET last_seq = %(messages)s,
       last_at = clock_timestamp() - %(settled)s * interval '1 second'
                 - given.place * %(spread)s * interval '1 second'
  FROM unnest(%(chats)s::uuid[]) WITH ORDINALITY AS given(id, place)
 WHERE chat.id = given.id
"""
_MESSAGES = """
INSERT INTO messaging_message (chat_id, seq, sender_id, kind, text, sent_at)
SELECT chat.id, seq, CASE seq %% 2 WHEN 0 THEN chat.low_id ELSE chat.high_id END, 'text', %(text)s,
       chat.last_at - (%(messages)s - seq) * interval '1 second'
  FROM messaging_chat chat CROSS JOIN generate_series(1, %(messages)s) seq
 WHERE chat.id = ANY(%(chats)s::uuid[])
"""


@dataclass(frozen=True, slots=True)
class Person:
    """A user and their token."""

    id: UUID
    token: str


def people(number: int) -> list[Person]:
    """Add users, each with a token."""
    made = [Person(new_id(), new_token()) for _ in range(number)]
    run, unusable = secrets.token_hex(3), make_password(None)
    User.objects.bulk_create(
        [
            User(id=one.id, username=name, display_name=name.title(), password=unusable)
            for one in made
            for name in [f"bench-{run}-{next(_numbers)}"]
        ],
        batch_size=BATCH,
    )
    Token.objects.bulk_create(
        [Token(digest=digest(one.token), user_id=one.id) for one in made], batch_size=BATCH
    )
    return made


def private_chats(
    pairs: Sequence[tuple[Person, Person]], messages: int, *, spread_seconds: float = 0.001
) -> list[UUID]:
    """Add a private chat of so many messages for each pair; their last ones lie apart so far."""
    chats = [
        Chat(
            id=new_id(),
            kind=Chat.Kind.PRIVATE,
            low_id=min(one.id, other.id),
            high_id=max(one.id, other.id),
            member_count=2,
        )
        for one, other in pairs
    ]
    Chat.objects.bulk_create(chats, batch_size=BATCH)
    ids = [chat.id for chat in chats]
    with connection.cursor() as cursor:
        parameters: dict[str, Any] = {
            "chats": ids,
            "messages": messages,
            "settled": SETTLED_SECONDS,
            "spread": spread_seconds,
            "text": TEXT,
        }
        for statement in (_MEMBERS, _LAST, _MESSAGES):
            cursor.execute(statement, parameters)
    return ids


def forbid_polls(users: Sequence[Person]) -> None:
    """Have users reach the limit of polls, for an hour: their whole quota comes back only then."""
    later = str((time.time() + FORBIDDEN_SECONDS) * 1000)
    for user in users:
        cache.execute("SET", f"l:{POLLS.name}:{user.id}", later, "EX", FORBIDDEN_SECONDS)


def settle() -> None:
    """Leave the tables as a database that has run for a while keeps them."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


def last_message_id() -> int:
    """Return the id of the newest message."""
    return _number("SELECT coalesce(max(id), 0) FROM messaging_message", ())


def messages_after(message_id: int) -> int:
    """Return how many messages are newer than that."""
    return _number("SELECT count(*) FROM messaging_message WHERE id > %s", (message_id,))


def backends() -> dict[int, int]:
    """Return the process id of each client's backend, by the port the client connects from."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT client_port, pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
        )
        return dict(cursor.fetchall())


def _number(statement: str, parameters: tuple[int, ...]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        found = cursor.fetchone()
    return int(found[0]) if found else 0
