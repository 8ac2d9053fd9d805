"""Chats whose messages lie hours back, put straight into the tables, for the archive's rows.

They are what the API would have written: each message has a `client_id`, as a client that repeats
safely gives one, so that the two users' copies of an hour differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection

from common.cache import cache
from common.ids import new_id
from scripts.bench.fill import TEXT, Person

_CHATS = """
INSERT INTO messaging_chat
  (id, kind, name, low_id, high_id, member_count, last_seq, last_at, created_at)
SELECT given.id, 'private', '', low, high, 2, %(hours)s * %(messages)s,
       %(start)s + (%(hours)s - 1) * interval '1 hour' + interval '59 minutes', %(start)s
  FROM unnest(%(ids)s::uuid[], %(lows)s::uuid[], %(highs)s::uuid[]) AS given(id, low, high)
"""
_MEMBERS = """
INSERT INTO messaging_membership (chat_id, user_id, role, first_seq, joined_at)
SELECT given.id, member.id, 'member', 1, %(start)s
  FROM unnest(%(ids)s::uuid[], %(lows)s::uuid[], %(highs)s::uuid[]) AS given(id, low, high)
 CROSS JOIN LATERAL (VALUES (low), (high)) AS member(id)
"""
_MESSAGES = """
INSERT INTO messaging_message (chat_id, seq, sender_id, kind, text, sent_at, client_id)
SELECT given.id, hour * %(messages)s + place,
       CASE place %% 2 WHEN 0 THEN low ELSE high END, 'text', %(text)s || ' ' || place,
       %(start)s + hour * interval '1 hour' + place * interval '59 minutes' / %(messages)s,
       gen_random_uuid()::text
  FROM unnest(%(ids)s::uuid[], %(lows)s::uuid[], %(highs)s::uuid[]) AS given(id, low, high)
 CROSS JOIN generate_series(0, %(hours)s - 1) AS hour
 CROSS JOIN generate_series(1, %(messages)s) AS place
"""
_MORE = """
INSERT INTO messaging_message (chat_id, seq, sender_id, kind, text, sent_at, client_id)
SELECT c.id, c.last_seq + (hour - 1) * %(messages)s + place,
       CASE place %% 2 WHEN 0 THEN c.low_id ELSE c.high_id END, 'text', %(text)s || ' ' || place,
       date_trunc('hour', c.last_at) + hour * interval '1 hour'
         + place * interval '59 minutes' / %(messages)s, gen_random_uuid()::text
  FROM messaging_chat c
 CROSS JOIN generate_series(1, %(hours)s) AS hour
 CROSS JOIN generate_series(1, %(messages)s) AS place
 WHERE c.id = ANY(%(ids)s::uuid[])
"""
_LATER = """
UPDATE messaging_chat
   SET last_seq = last_seq + %(hours)s * %(messages)s,
       last_at = date_trunc('hour', last_at) + %(hours)s * interval '1 hour' + interval '59 minutes'
 WHERE id = ANY(%(ids)s::uuid[])
"""
_START = "SELECT date_trunc('hour', clock_timestamp()) - %s * interval '1 hour'"
AT_ONCE = 200
"""So many chats are filled in one statement."""


def cold_chats(
    pairs: Sequence[tuple[Person, Person]], *, hours: int, messages: int, ago: int
) -> list[UUID]:
    """Add a private chat for each pair, with messages in each of some hours, first `ago`."""
    ids = [new_id() for _ in pairs]
    with connection.cursor() as cursor:
        cursor.execute(_START, [ago])
        (start,) = cursor.fetchone() or (None,)
        for place in range(0, len(ids), AT_ONCE):
            some = pairs[place : place + AT_ONCE]
            parameters: dict[str, Any] = {
                "ids": ids[place : place + AT_ONCE],
                "lows": [min(one.id, other.id) for one, other in some],
                "highs": [max(one.id, other.id) for one, other in some],
                "start": start, "hours": hours, "messages": messages, "text": TEXT,
            }  # fmt: skip
            for statement in (_CHATS, _MEMBERS, _MESSAGES):
                cursor.execute(statement, parameters)
    return ids


def more_messages(chats: Sequence[UUID], *, hours: int, messages: int) -> None:
    """Go on with chats: so many messages in each of the next hours."""
    parameters: dict[str, Any] = {
        "ids": list(chats), "hours": hours, "messages": messages, "text": TEXT,
    }  # fmt: skip
    with connection.cursor() as cursor:
        for statement in (_MORE, _LATER):
            cursor.execute(statement, parameters)


def empty() -> None:
    """Take everybody and everything out of the tables and the cache."""
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE accounts_user, messaging_chat, messaging_message, messaging_membership,"
            " messaging_trimmedsend, archive_segment, archive_hourobject, archive_watermark CASCADE"
        )
        # Trimming many times in a minute instead of in as many hours.
        cursor.execute("ALTER SYSTEM SET autovacuum_naptime = '2s'")
        cursor.execute("SELECT pg_reload_conf()")
    cache.execute("FLUSHDB")


def sizes() -> dict[str, int]:
    """Return the bytes of the tables that trimming empties and of their indexes, and dead rows."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_table_size('messaging_message'), pg_indexes_size('messaging_message'),"
            " pg_table_size('messaging_chat'), pg_total_relation_size('archive_hourobject'),"
            " pg_total_relation_size('archive_segment'),"
            " pg_total_relation_size('messaging_trimmedsend'),"
            " (SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'messaging_message'),"
            " (SELECT count(*) FROM messaging_message)"
        )
        names = ("messages", "their indexes", "chats", "objects", "segments", "trimmed sends")
        return dict(zip((*names, "dead rows", "rows"), cursor.fetchone() or (), strict=True))
