"""What stays of a send whose text has left the database: enough to know a repeat, and no text.

A plain digest of a short text gives the text away to whoever tries them all. So it is

    HMAC-SHA256(key, SHA-256(text))

under a key that comes from the archive key, which is not in the database. The inner digest lets
rows of before be brought to this form without their texts.
"""

import hmac
from collections.abc import Iterable
from hashlib import sha256
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet

from common import archive_key
from messaging.models import Message, TrimmedSend

PURPOSE = "messaging.client_id"
BATCH = 1000


def keep(chat_id: UUID, messages: Iterable[Message], *, removed: bool = False) -> None:
    """Keep what the client_ids of messages stand for whose rows, or texts, are about to go.

    Needs the chat's row locked. With `removed` their texts leave all tiers; what is a removed
    message already has lost its text before, and what was kept of it then stays.
    """
    TrimmedSend.objects.bulk_create(
        [
            TrimmedSend(
                chat_id=chat_id,
                seq=one.seq,
                sender_id=one.sender_id,
                client_id=one.client_id,
                sent_at=one.sent_at,
                digest=None if gone else digest(one.text),
                key_id="" if gone else archive_key.current_id(),
                removed=removed or gone,
            )
            for one in messages
            if one.client_id is not None
            for gone in [one.kind == Message.Kind.REMOVED]
        ],
        ignore_conflicts=True,
    )


def take_texts(chat_id: UUID, texts: QuerySet[Message]) -> None:
    """Make messages removed ones, and keep what their client_ids stand for.

    Needs the chat's row locked. What is no text, and what is one no more, is left as it is.
    """
    texts = texts.filter(chat=chat_id, kind=Message.Kind.TEXT)
    keep(chat_id, texts.filter(client_id__isnull=False), removed=True)
    texts.update(kind=Message.Kind.REMOVED, text="")


def digest(text: str) -> bytes:
    """Return what is kept of a text, under the key in use."""
    return _mac(archive_key.derived(PURPOSE), sha256(text.encode()).digest())


def is_repeat(text: str, kept: str) -> tuple[bool, bool]:
    """Compare a text with what `messaging_send` says is kept of an earlier one.

    Return whether it is the same, and whether the earlier one has been removed. Where nothing is
    known of a removed text any other is taken for it: there is nothing left to contradict.
    """
    state, key_id, known = kept.split(" ")
    removed = state == "removed"
    if not known:
        return removed, removed
    plain = sha256(text.encode()).digest()
    if key_id:
        key = archive_key.derived_of(key_id, PURPOSE)
        mine = None if key is None else _mac(key, plain)
    else:
        mine = plain
    return mine is not None and hmac.compare_digest(mine, bytes.fromhex(known)), removed


def add_keys() -> int:
    """Bring rows that hold a plain digest under the key, a batch a transaction; return how many."""
    count = 0
    while True:
        with transaction.atomic():
            some = list(
                TrimmedSend.objects.select_for_update(skip_locked=True, no_key=True)
                .filter(key_id="", digest__isnull=False)
                .order_by("id")[:BATCH]
            )
            key, key_id = archive_key.derived(PURPOSE), archive_key.current_id()
            for one in some:
                one.digest = _mac(key, bytes(one.digest or b""))
                one.key_id = key_id
            _write(some)
        count += len(some)
        if len(some) < BATCH:
            return count


def _write(some: list[TrimmedSend]) -> None:
    if not some:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE messaging_trimmedsend t SET digest = n.digest, key_id = n.key_id"
            " FROM unnest(%s::bigint[], %s::bytea[], %s::text[]) AS n (id, digest, key_id)"
            " WHERE t.id = n.id",
            ([one.pk for one in some], [one.digest for one in some], [one.key_id for one in some]),
        )


def _mac(key: bytes, plain: bytes) -> bytes:
    return hmac.digest(key, plain, "sha256")
