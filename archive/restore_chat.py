"""Bringing one chat back: its messages, its index and who is in it, whole or not at all.

An hour at a time is in memory, and of a large one only the lines that are on their way: a chat
may have any number of messages.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db import connection, transaction

from archive.catalog import Catalog
from archive.copies import Copy, Raw, Trust
from archive.hours import Damaged, key_of, parse_line
from archive.locks import chat_lock
from archive.merging import Contradiction, Hour, read_hours
from archive.models import Erasure, Segment
from archive.parts import Ranges, clipped, joined
from archive.restore_index import Bounds, Index
from archive.runs import Tally
from archive.signatures import generation_of
from archive.sql import read_sql
from archive.steps import step
from archive.store import patient
from archive.threads import Crew
from common.database import row, rows
from messaging import kept_sends
from messaging.models import Chat as ChatRow
from messaging.models import Message
from messaging.telling import forget_chat

_TAKE_CHAT = read_sql("restore_chat.sql")
_MEMBERSHIPS = read_sql("restore_memberships.sql")
_MEMBERS = read_sql("restore_members.sql")
_TAKE = read_sql("take_restored.sql")
_ERASED = read_sql("erased_texts.sql")
_DIFFERS = read_sql("restored_differs.sql")
_SETTLE = read_sql("settle_restored.sql")
_WATERMARK = read_sql("restore_watermark.sql")
_NUMBER = "SELECT number FROM messaging_chat WHERE id = %s"
_COLUMNS = "chat_id, seq, sender_id, subject_id, kind, text, sent_at, client_id"
_STAGE = (
    f"CREATE TEMP TABLE IF NOT EXISTS restored ON COMMIT DELETE ROWS AS SELECT {_COLUMNS}"  # noqa: S608  # nosec B608 # our own columns' names, nothing of a caller's
    " FROM messaging_message LIMIT 0"
)
PORTION = 1000
"""How many messages are copied at once."""
_ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"})
_NULL = r"\N"
_SYSTEM = Message.Kind.SYSTEM
_ENDLESS = 2**63


class Listed(NamedTuple):
    """A chat that the snapshot has, the last seq that it had then, and its memberships."""

    chat_id: UUID
    last_seq: int
    members: list[dict[str, Any]]

    def __str__(self) -> str:
        return f"chat {self.chat_id}"


def restore_chat(
    catalog: Catalog, listed: Listed, crew: Crew, tally: Tally, trust: Trust = generation_of
) -> None:
    """Bring a chat back whole or not at all.

    Until then nobody can write to it: there are no memberships, and a private chat without a
    message takes none. One of which the bucket has no message any more goes on where it was. What
    is there already stays. Raises Contradiction, Busy, LockLost, Damaged, ArchiveUnavailable,
    Stopped and database errors.
    """
    chat_id, last_seq, members = listed
    found = rows(_NUMBER, (chat_id,))
    if not found:
        raise Contradiction("its users have another chat by now")
    (number,) = found[0]
    with chat_lock(number) as lock:
        step("restore.chat")
        with transaction.atomic():
            lock.check()
            filled, _ = row(_TAKE_CHAT, {"chat": chat_id})
            added = _Messages(listed, catalog, tally, filled=filled).bring(crew, trust)
            ChatRow.objects.filter(pk=chat_id, last_seq=0).update(
                last_seq=last_seq, start_seq=last_seq + 1, db_seq=last_seq + 1
            )
            joined = rows(_MEMBERSHIPS, {"rows": orjson.dumps(members).decode()})
            row(_MEMBERS, {"chat": chat_id})
            step("restore.inside")
    step("restore.after")
    forget_chat(number)
    tally.add(chats=1, messages=added, memberships=len(joined))


class _Messages:
    """A chat's messages and index on their way; needs a transaction, the chat's lock and row."""

    def __init__(self, listed: Listed, catalog: Catalog, tally: Tally, *, filled: bool) -> None:
        chat_id, _, members = listed
        self._chat_id = chat_id
        self._known_until = catalog.known_until
        self._hours = catalog.hours(chat_id)
        self._subjects = _subjects(members)
        self._seen = _seen(members)
        self._tally = tally
        self._filled = filled
        self._index = Index(chat_id)
        self._half_erased: list[int] = []
        self._last = 0

    def bring(self, crew: Crew, trust: Trust) -> int:
        """Bring them all; return how many the database did not have."""
        if self._filled:
            # Beside the table first, to see whether what is there already is the same.
            with connection.cursor() as cursor:
                cursor.execute(_STAGE)
        copied = 0
        hours = read_hours(patient, self._chat_id, self._hours, crew, trust)
        while more := self._copy_some(hours):
            copied += more
            self._record()
        added = _take() if self._filled else copied
        self._settle()
        return added

    def _copy_some(self, hours: Iterator[Hour]) -> int:
        """Copy hours' messages into the database until so much is to be recorded; return how many.

        In one COPY, which costs as much as thirty messages. Raises Django's database errors, which
        a COPY by itself does not.
        """
        table = "restored" if self._filled else "messaging_message"
        count, copy = 0, None
        with connection.wrap_database_errors, ExitStack() as opened:
            for hour in hours:
                for bad in hour.bad:
                    self._tally.add(damaged=1)
                    self._tally.fail(bad, Damaged("passed over"))
                if hour.copies:
                    if copy is None:
                        cursor = opened.enter_context(connection.cursor())
                        copy = opened.enter_context(
                            cursor.copy(f"COPY {table} ({_COLUMNS}) FROM STDIN")
                        )
                    count += self._copy(hour, copy)
                if self._index.full:
                    break
        return count

    def _copy(self, hour: Hour, copy: Any) -> int:
        """Copy an hour's messages; return how many."""
        lines, count, bounds = hour.lines(), 0, Bounds()
        while some := list(islice(lines, PORTION)):
            self._tally.go_on()
            if some[0][0] <= self._last:
                raise Damaged(f"two hours have a message {some[0][0]}")
            copy.write("".join(self._rows(some, bounds)))
            count += len(some)
        if count:
            self._index.add(hour.hour, bounds, filter(self._belongs(hour, bounds), hour.copies))
            self._half_erased += hour.half_erased
            self._last = max(self._last, bounds.last)
        return count

    def _belongs(self, hour: Hour, bounds: Bounds) -> Callable[[Copy], bool]:
        """Return what says of an hour's copy whether its user saw just that; names those not so.

        What others saw is theirs, wherever it lies. After the snapshot nobody knows who saw what.
        """

        def belongs(copy: Copy) -> bool:
            seen = clipped(self._seen.get(copy.user_id, ()), bounds.first, bounds.last)
            known = hour.hour <= self._known_until
            if copy.holds(seen) or not (known or copy.astray):
                return True
            self._tally.add(damaged=1)
            key = key_of(copy.user_id, hour.hour, self._chat_id)
            self._tally.fail(key, Damaged("it does not hold what its user could see"))
            return False

        return belongs

    def _record(self) -> None:
        """Record what the hours that were copied hold."""
        self._index.write()
        Erasure.objects.bulk_create(
            (Erasure(chat_id=self._chat_id, seq=seq) for seq in self._half_erased),
            ignore_conflicts=True,
        )
        self._half_erased = []

    def _rows(self, lines: list[Raw], bounds: Bounds) -> Iterator[str]:
        """Yield the rows of lines as COPY takes them."""
        chat_id, subjects = self._chat_id, self._subjects
        of_chat = str(chat_id)
        for seq, raw in lines:
            message = parse_line(raw, of_chat, seq)
            kind, client_id, sent_at = message["kind"], message["client_id"], message["sent_at"]
            bounds.take(seq, sent_at)
            subject = subjects.get(seq, _NULL) if kind == _SYSTEM else _NULL
            text = message["text"]
            if b"\\" in raw:
                # What COPY has to be told of specially stands in JSON behind one, too.
                text = text.translate(_ESCAPED)
                client_id = client_id and client_id.translate(_ESCAPED)
            yield (
                f"{of_chat}\t{seq}\t{message['sender_id']}\t{subject}\t{kind}\t"
                f"{text}\t{sent_at}\t{_NULL if client_id is None else client_id}\n"
            )

    def _settle(self) -> None:
        """Set the chat's bounds by what is there now; what is before a gap is of no use."""
        settled = rows(_SETTLE, {"chat": self._chat_id})
        if not settled:
            return
        first, lowest, last = settled[0]
        if lowest < first:
            if self._filled:
                # What can be read now is not to be less readable for a try to bring more back.
                raise Damaged(f"what led up to seq {first} is in no object; it is left as it was")
            self._tally.fail(
                f"chat {self._chat_id}", Damaged(f"what led up to seq {first} is in no object")
            )
            Message.objects.filter(chat=self._chat_id, seq__lt=first).delete()
            Segment.objects.filter(chat=self._chat_id, last_seq__lt=first).delete()
        if self._last:
            archived = min(self._last, last)
            row(_WATERMARK, {"chat": self._chat_id, "first": first, "archived": archived})


def _seen(members: list[dict[str, Any]]) -> dict[UUID, Ranges]:
    """Return who could see which seqs."""
    found: dict[UUID, list[tuple[int, int]]] = {}
    for member in sorted(members, key=itemgetter("first_seq")):
        last = _ENDLESS if member["last_seq"] is None else member["last_seq"]
        found.setdefault(UUID(member["user_id"]), []).append((member["first_seq"], last))
    return {user_id: joined(stretches) for user_id, stretches in found.items()}


def _subjects(members: list[dict[str, Any]]) -> dict[int, str]:
    """Return whose membership begins or ends with which seq; objects don't say it."""
    subjects: dict[int, str] = {}
    for member in members:
        if member["first_seq"] > 1:
            subjects[member["first_seq"]] = member["user_id"]
        if member["last_seq"] is not None:
            subjects[member["last_seq"]] = member["user_id"]
    return subjects


def _take() -> int:
    """Add what was copied and is not there yet, return how many; raises Contradiction."""
    for chat_id, seqs in rows(_ERASED, ()):
        kept_sends.take_texts(chat_id, Message.objects.filter(seq__in=seqs))
    if differs := rows(_DIFFERS, ()):
        raise Contradiction(f"the database has another message {differs[0][0]} than the bucket")
    with connection.cursor() as cursor:
        cursor.execute(_TAKE)
        return int(cursor.rowcount)
