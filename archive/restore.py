"""Restore: from the bucket alone, into an empty or a partly filled database, as often as needed.

Accounts, blocks, chats and memberships come from the newest whole snapshot, messages from the
copies of everyone. A chat comes back in one transaction or not at all; what is there already stays
as it is, and what contradicts it is reported. At the end the epoch rises: clients start anew.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from archive import snapshot
from archive.catalog import Catalog
from archive.hours import Damaged, hour_start
from archive.locks import chat_lock
from archive.merging import Contradiction, Hour, read_hour
from archive.models import HourObject, Segment, Watermark
from archive.runs import FAILURES, Shower, Silent, Tally
from archive.sql import read_sql
from archive.steps import step
from archive.store import patient
from common.database import rows
from messaging.models import Chat as ChatRow
from messaging.models import LogState, Membership, Message, TrimmedSend
from messaging.telling import forget_chat

_USERS = read_sql("restore_users.sql")
_BLOCKS = read_sql("restore_blocks.sql")
_CHATS = read_sql("restore_chats.sql")
_MEMBERSHIPS = read_sql("restore_memberships.sql")
_TAKE = read_sql("take_restored.sql")
_DIFFERS = read_sql("restored_differs.sql")
_SETTLE = read_sql("settle_restored.sql")
_STAGE = (
    "CREATE TEMP TABLE restored ON COMMIT DROP AS SELECT chat_id, seq, sender_id, subject_id, kind,"
    " text, sent_at, client_id FROM messaging_message LIMIT 0"
)
_COLUMNS = "chat_id, seq, sender_id, subject_id, kind, text, sent_at, client_id"
_NUMBERS = (
    "SELECT setval('messaging_chat_number', greatest((SELECT max(number) FROM messaging_chat),"
    " nextval('messaging_chat_number')))"
)
PORTION = 5000


class NothingToRestore(Exception):
    """The bucket holds no whole snapshot, or nothing of that chat or user."""


class Selection:
    """The part of the newest snapshot that is to come back."""

    def __init__(self, hour: int, *, chat_id: UUID | None, user_id: UUID | None) -> None:
        self.hour = hour
        members = self._read("memberships")
        self.chats: set[str] | None = None
        self.users: set[str] | None = None
        if chat_id or user_id:
            self.chats = (
                {str(chat_id)}
                if chat_id
                else {row["chat_id"] for row in members if row["user_id"] == str(user_id)}
            )
            self.users = {
                row["user_id"] for row in self._read("memberships") if row["chat_id"] in self.chats
            } | ({str(user_id)} if user_id else set())

    def _read(self, table: str) -> Iterator[dict[str, Any]]:
        return snapshot.read(patient, self.hour, table)

    def portions(self, table: str) -> Iterator[list[dict[str, Any]]]:
        """Yield the chosen rows of a table, some at a time."""
        chosen = (row for row in self._read(table) if self._wants(table, row))
        while some := list(islice(chosen, PORTION)):
            yield some

    def _wants(self, table: str, row: dict[str, Any]) -> bool:
        if self.chats is None or self.users is None:
            return True
        if table == "users":
            return row["id"] in self.users
        if table == "blocks":
            return row["blocker_id"] in self.users and row["blocked_id"] in self.users
        return row["id" if table == "chats" else "chat_id"] in self.chats


def restore(
    *,
    chat_id: UUID | None = None,
    user_id: UUID | None = None,
    dry_run: bool = False,
    shower: Shower | None = None,
) -> dict[str, Any]:
    """Bring back one chat, all chats of a user, or everything; report.

    Raises NothingToRestore.
    """
    shower, tally = shower or Silent(), Tally()
    hour = snapshot.newest(patient)
    if hour is None:
        raise NothingToRestore
    tally.add(users=0, blocks=0, chats=0, memberships=0, messages=0, damaged=0)
    selection = Selection(hour, chat_id=chat_id, user_id=user_id)
    if selection.chats is not None and not selection.chats:
        raise NothingToRestore
    with Catalog() as catalog, ThreadPoolExecutor(settings.ARCHIVE_THREADS) as pool:
        if selection.chats is None or selection.users is None:
            catalog.add(patient, [""])
        else:
            wanted = {UUID(chat) for chat in selection.chats}
            catalog.add(patient, [f"{user}/" for user in sorted(selection.users)], wanted)
        found = {str(chat) for chat in catalog.chats()}
        base = {"command": "restore", "snapshot": hour_start(hour).isoformat()}
        if dry_run:
            tally.add(chats=len(found))
            return {**base, "dry_run": True, **tally.report()}
        _accounts_and_chats(selection, catalog, tally)
        shower.total(catalog.listed_count())
        for chat, members in catalog.listed():
            _one(catalog, chat, members, pool, tally)
            found.discard(str(chat))
            shower.advance(1)
        for unknown in sorted(found):
            tally.fail(f"chat {unknown}", Damaged("it has objects but is in no snapshot"))
    with transaction.atomic():
        LogState.objects.update(epoch=F("epoch") + 1)
        rows(_NUMBERS, ())
        step("restore.epoch")
    return {**base, **tally.report()}


def _accounts_and_chats(selection: Selection, catalog: Catalog, tally: Tally) -> None:
    for table, sql in (("users", _USERS), ("blocks", _BLOCKS), ("chats", _CHATS)):
        for portion in selection.portions(table):
            step(f"restore.{table}")
            added = rows(sql, {"rows": orjson.dumps(portion).decode()})
            if table == "chats":
                catalog.add_chats(row["id"] for row in portion)
            else:
                tally.add(**{table: len(added)})
    for portion in selection.portions("memberships"):
        catalog.add_members(portion)


def _one(
    catalog: Catalog,
    chat_id: UUID,
    members: list[dict[str, Any]],
    pool: ThreadPoolExecutor,
    tally: Tally,
) -> None:
    """Bring a chat back whole or not at all."""
    try:
        chat = ChatRow.objects.filter(pk=chat_id).first()
        if chat is None:
            raise Contradiction("its users have another chat by now")  # noqa: TRY301
        with chat_lock(chat.number) as lock:
            step("restore.chat")
            with transaction.atomic():
                lock.check()
                added = _messages(catalog, chat_id, members, pool, tally)
                joined = rows(_MEMBERSHIPS, {"rows": orjson.dumps(members).decode()})
                ChatRow.objects.filter(pk=chat_id).update(
                    member_count=Membership.objects.filter(chat=chat_id, last_seq=None).count()
                )
                step("restore.inside")
        step("restore.after")
        forget_chat(chat.number)
        tally.add(chats=1, messages=added, memberships=len(joined))
    except (*FAILURES, Contradiction) as error:
        tally.fail(f"chat {chat_id}", error)


def _messages(
    catalog: Catalog,
    chat_id: UUID,
    members: list[dict[str, Any]],
    pool: ThreadPoolExecutor,
    tally: Tally,
) -> int:
    """Bring a chat's messages and its index back; needs a transaction and the chat's lock."""
    subjects = _subjects(members)
    hours: list[tuple[Hour, tuple[int, int]]] = []
    segments: list[Segment] = []
    with connection.cursor() as cursor:
        cursor.execute(_STAGE)
    for hour, users in catalog.hours(chat_id):
        found = read_hour(patient, chat_id, hour, users, pool)
        for bad in found.bad:
            tally.add(damaged=1)
            tally.fail(bad, Damaged("passed over"))
        if not found.messages:
            continue
        _stage(chat_id, found.messages, subjects)
        bounds = (min(found.messages), max(found.messages))
        segments.append(
            Segment(
                chat_id=chat_id,
                hour=hour_start(hour),
                first_seq=bounds[0],
                last_seq=bounds[1],
                first_at=found.messages[bounds[0]]["sent_at"],
                last_at=found.messages[bounds[1]]["sent_at"],
            )
        )
        found.messages.clear()
        hours.append((found, bounds))
    added = _take()
    _index(segments, hours)
    settled = rows(_SETTLE, {"chat": chat_id})
    if settled:
        first, lowest, last = settled[0]
        if lowest < first:
            tally.fail(f"chat {chat_id}", Damaged(f"what led up to seq {first} is in no object"))
            Message.objects.filter(chat=chat_id, seq__lt=first).delete()
            Segment.objects.filter(chat=chat_id, last_seq__lt=first).delete()
        if hours:
            archived = max(high for _, (_, high) in hours)
            Watermark.objects.update_or_create(
                chat_id=chat_id, defaults={"archived_seq": min(archived, last)}
            )
        TrimmedSend.objects.filter(chat=chat_id, seq__gte=first).delete()
    return added


def _subjects(members: list[dict[str, Any]]) -> dict[int, str]:
    """Return whose membership begins or ends with which seq; objects don't say it."""
    subjects: dict[int, str] = {}
    for row in members:
        if row["first_seq"] > 1:
            subjects[row["first_seq"]] = row["user_id"]
        if row["last_seq"] is not None:
            subjects[row["last_seq"]] = row["user_id"]
    return subjects


def _stage(chat_id: UUID, messages: dict[int, Any], subjects: dict[int, str]) -> None:
    """Copy an hour's messages beside the table."""
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY restored ({_COLUMNS}) FROM STDIN") as copy,
    ):
        for seq in sorted(messages):
            message = messages[seq]
            subject = subjects.get(seq) if message["kind"] == Message.Kind.SYSTEM else None
            copy.write_row(
                (
                    chat_id, seq, message["sender_id"], subject, message["kind"],
                    message["text"], message["sent_at"], message["client_id"],
                )
            )  # fmt: skip


def _take() -> int:
    """Add what was copied and is not there yet, return how many; raises Contradiction."""
    if differs := rows(_DIFFERS, ()):
        raise Contradiction(f"the database has another message {differs[0][0]} than the bucket")
    with connection.cursor() as cursor:
        cursor.execute(_TAKE)
        return int(cursor.rowcount)


def _index(segments: list[Segment], hours: list[tuple[Hour, tuple[int, int]]]) -> None:
    """Record the hours and the objects that they were read from."""
    stored = Segment.objects.bulk_create(
        segments,
        update_conflicts=True,
        unique_fields=["chat", "hour"],
        update_fields=["first_seq", "last_seq", "first_at", "last_at", "purged_at"],
        batch_size=1000,
    )
    HourObject.objects.bulk_create(
        (
            HourObject(
                segment=segment, user_id=copy.user_id, first_seq=copy.facts.first,
                last_seq=copy.facts.last, count=copy.facts.count, size=copy.size,
                sha256=bytes.fromhex(copy.facts.sha256), etag=copy.etag,
            )
            for segment, (hour, _) in zip(stored, hours, strict=True)
            for copy in hour.copies
        ),
        update_conflicts=True,
        unique_fields=["segment", "user"],
        update_fields=["first_seq", "last_seq", "count", "size", "sha256", "etag", "next_sha256"],
        batch_size=1000,
    )  # fmt: skip
