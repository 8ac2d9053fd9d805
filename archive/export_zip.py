"""What an export holds: who a user is, and every message that they may read, through all tiers.

    user.json                   the account
    chats.ndjson                every chat that they are or have been in, one a line
    groups.ndjson               the groups that they are in, with their role
    blocks.ndjson               whom they block
    messages/{chat_id}.ndjson   a chat's messages in seq order, in the API's own form, one a line
    lost.ndjson                 only where there is something to tell: which seqs no tier can give

A page's way through the tiers would fill the cache with what nobody looks at, and read a large hour
once a page. Here each of a user's objects is read once, in a stream, and rows come by the portion:
what is in memory is bounded, however much there is.
"""

from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import IO, Any, Final, NamedTuple
from uuid import UUID
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import orjson
from django.db.models import OuterRef, Subquery

from accounts import selectors as accounts
from accounts.models import User
from archive.checking import check_segment
from archive.hours import Damaged, hour_from, key_of
from archive.models import HourObject
from archive.parts import Known, checked_lines
from archive.runs import Tally
from archive.sql import read_sql
from archive.store import Missing, patient
from common.database import row, rows
from common.times import rfc3339
from messaging import history, selectors
from messaging.models import Chat, Membership
from messaging.tiers import Reading, Span
from messaging.tiers.database import DatabaseTier

PORTION: Final = 1000
TRIES: Final = 5
MAX_SEQ: Final = 2**63 - 1
_TOTAL = read_sql("export_total.sql")
_BOUNDS = "SELECT start_seq, db_seq FROM messaging_chat WHERE id = %s"


def total_of(user_id: UUID) -> int:
    """Return how many messages a user may read."""
    return int(row(_TOTAL, {"user": user_id})[0])


class Lost(NamedTuple):
    """Messages of a chat that a user may read and no tier can give."""

    chat_id: UUID
    first: int
    last: int

    def shown(self) -> dict[str, Any]:
        """Return it as an entry of the ZIP tells it."""
        return {"chat_id": str(self.chat_id), "first_seq": self.first, "last_seq": self.last}


def write_zip(
    file: IO[bytes],
    user_id: UUID,
    moment: datetime,
    progress: Callable[[int], None],
    *,
    lost: list[Lost] | None = None,
) -> None:
    """Write a user's ZIP; `progress` gets how many messages are in it, and may raise.

    `moment` dates its entries. Raises Damaged, Missing, ArchiveUnavailable where a part of what the
    user may read can't be read: what looks whole is whole. With `lost`, objects that are lost or
    damaged are left out instead, and named in it and in an entry of their own.
    """
    done = 0
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:

        def entry(name: str, portions: Iterator[list[bytes]]) -> None:
            nonlocal done
            info = ZipInfo(name, moment.timetuple()[:6])
            info.compress_type = ZIP_DEFLATED
            info.external_attr = 0o600 << 16
            with archive.open(info, "w", force_zip64=True) as out:
                for portion in portions:
                    out.write(b"".join(line + b"\n" for line in portion))
                    done += len(portion) if name.startswith("messages/") else 0
                    progress(done)

        entry("user.json", iter([[orjson.dumps(_user(user_id))]]))
        for name, found in (
            ("chats", _chats(user_id)), ("groups", _groups(user_id)), ("blocks", _blocks(user_id)),
        ):  # fmt: skip
            entry(f"{name}.ndjson", _portions(map(orjson.dumps, found)))
        for chat_id in _chat_ids(user_id):
            entry(f"messages/{chat_id}.ndjson", messages_of(chat_id, user_id, lost))
        if lost:
            entry("lost.ndjson", _portions(orjson.dumps(one.shown()) for one in lost))


def _user(user_id: UUID) -> dict[str, Any]:
    user: User = accounts.user_by_id(user_id)
    return {
        "user_id": str(user.pk),
        "username": user.username,
        "display_name": user.display_name,
        "created_at": rfc3339(user.date_joined),
    }


def _chats(user_id: UUID) -> Iterator[dict[str, Any]]:
    after = 0
    found = selectors.chats_ever_of(user_id).order_by("number")
    while some := list(found.filter(number__gt=after)[:PORTION]):
        for chat in some:
            shown: Any = chat
            yield {
                "chat_id": str(chat.pk),
                "kind": chat.kind,
                "name": shown.shown_name,
                "start": shown.start,
                "end": shown.end,
                "last_at": rfc3339(shown.shown_last_at),
                "created_at": rfc3339(chat.created_at),
            }
        after = some[-1].number


def _groups(user_id: UUID) -> Iterator[dict[str, Any]]:
    owner = Membership.objects.filter(
        chat=OuterRef("chat"), last_seq=None, role=Membership.Role.OWNER
    ).values("user")
    found = (
        selectors.memberships_of(user_id)
        .filter(last_seq=None, chat__kind=Chat.Kind.GROUP)
        .select_related("chat")
        .annotate(owner=Subquery(owner))
        .order_by("pk")
    )
    after = 0
    while some := list(found.filter(pk__gt=after)[:PORTION]):
        for member in some:
            shown: Any = member
            yield {
                "group_id": str(member.chat_id),
                "name": member.chat.name,
                "owner_id": str(shown.owner) if shown.owner else None,
                "member_count": member.chat.member_count,
                "created_at": rfc3339(member.chat.created_at),
                "role": member.role,
                "joined_at": rfc3339(member.joined_at),
            }
        after = some[-1].pk


def _blocks(user_id: UUID) -> Iterator[dict[str, Any]]:
    after = 0
    found = accounts.blocks_of(user_id).order_by("pk")
    while some := list(found.filter(pk__gt=after)[:PORTION]):
        for block in some:
            yield {"user_id": str(block.blocked_id), "created_at": rfc3339(block.created_at)}
        after = some[-1].pk


def _chat_ids(user_id: UUID) -> list[UUID]:
    found = rows(
        "SELECT DISTINCT chat_id FROM messaging_membership WHERE user_id = %s ORDER BY chat_id",
        (user_id,),
    )
    return [chat_id for (chat_id,) in found]


def messages_of(
    chat_id: UUID, user_id: UUID, lost: list[Lost] | None = None
) -> Iterator[list[bytes]]:
    """Yield what a user may read of a chat as JSON, in seq order, some at a time.

    With `lost`, what can't be read is noted there.
    """
    view = history.view(chat_id, user_id)
    viewer = str(user_id).encode()
    for first, last in view.stretches:
        place, tries = first, 0
        while place <= last:
            start, db_seq = row(_BOUNDS, (chat_id,))
            # What retention takes meanwhile is nobody's any more.
            place = max(place, start)
            before = place
            if place >= db_seq:
                span = Span(view.chat, place, min(last, place + PORTION - 1))
                reading = Reading([span], user_id)
                DatabaseTier().read(reading, [span])
                if not reading.missing():
                    yield [line.seen_by(viewer) for line in reading.found(span)]
                    place = span.last + 1
            elif place <= last and lost is not None and (end := _lost_to(chat_id, user_id, place)):
                if row(_BOUNDS, (chat_id,))[0] <= place:
                    lost.append(Lost(chat_id, place, min(last, end, db_seq - 1)))
                    place = lost[-1].last + 1
            elif place <= last:
                for portion in _from_object(chat_id, user_id, place, last):
                    yield [raw for _, raw in portion]
                    place = portion[-1][0] + 1
            # Trim and purge may have moved it between two looks; they move it once.
            tries = tries + 1 if place == before else 0
            if tries > TRIES:
                raise Damaged(f"what follows {chat_id}/{place} is in no tier")


def _from_object(
    chat_id: UUID, user_id: UUID, first: int, last: int
) -> Iterator[list[tuple[int, bytes]]]:
    """Yield the lines of the user's object that holds a seq, up to another; none when none does."""
    found = _object_from(chat_id, user_id, first)
    if found is None:
        return
    key, lines = _lines_of(found)
    wanted = ((seq, raw) for seq, raw in lines if first <= seq <= last)
    expected = first
    try:
        while some := list(islice(wanted, PORTION)):
            if [seq for seq, _ in some] != list(range(expected, expected + len(some))):
                raise Damaged(f"{key} does not hold what its user could see")
            expected += len(some)
            yield some
    except Missing:
        # Purged since the index was asked, or lost: the next look tells which.
        if expected != first:
            raise


def _object_from(chat_id: UUID, user_id: UUID, first: int) -> HourObject | None:
    """Return the user's first object of a chat that ends at a seq or later."""
    return (
        HourObject.objects.filter(
            user=user_id, segment__chat=chat_id, segment__purged_at=None, last_seq__gte=first
        )
        .select_related("segment")
        .order_by("segment__first_seq")
        .first()
    )


def _lines_of(found: HourObject) -> tuple[str, Iterator[tuple[int, bytes]]]:
    known = Known(
        bytes(found.sha256), found.count, found.last_seq, found.etag, found.generation,
        bytes(found.next_sha256) if found.next_sha256 else None,
    )  # fmt: skip
    key = key_of(found.user_id, hour_from(found.segment.hour), found.segment.chat_id)
    return key, checked_lines(patient, key, known)


def _lost_to(chat_id: UUID, user_id: UUID, first: int) -> int:
    """Return up to which seq nothing can be read from one on; 0 where it can.

    The object that holds it is read to its end, since what is wrong with it may show there. A wrong
    one is written again where somebody else's copy allows it.
    """
    found = _object_from(chat_id, user_id, first)
    if found is None:
        return MAX_SEQ
    if found.first_seq > first:
        return found.first_seq - 1
    try:
        deque(_lines_of(found)[1], maxlen=0)
    except (Missing, Damaged):
        if check_segment(found.segment_id, Tally(), repair=True, users={user_id}):
            # Written again, or purged meanwhile: it is looked for anew.
            return 0
        return found.last_seq
    return 0


def _portions(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    while some := list(islice(lines, PORTION)):
        yield some
