"""Erase: a message's text out of all three tiers, or a user's account and archive.

The wish is recorded with the first change, and done when nothing is left; every backup run goes on
with what a crash left undone. The message keeps its seq; its kind becomes `removed`, its text is
empty.
"""

import logging
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from accounts.models import User
from accounts.services import ban_user
from archive.checking import part_of
from archive.export_making import withdraw_exports
from archive.hours import Packed, line_of, message_from
from archive.locks import ChatLock, chat_lock
from archive.models import ErasedUser, Erasure, HourObject, Segment
from archive.parts import Part, contains
from archive.runs import FAILURES, Tally
from archive.steps import step
from archive.store import DELETE_AT_ONCE, patient
from archive.writing import write_object
from common.cache import CacheUnavailable, cache
from common.errors import NotFound
from messaging.models import Chat, Membership, Message, TrimmedSend
from messaging.telling import forget_chat

logger = logging.getLogger(__name__)


def erase_message(*, chat_id: UUID, seq: int) -> dict[str, Any]:
    """Take a message's text out of every tier; report. Raises NotFound for what is no text.

    When cold storage is away the text is gone from the database and the cache at once, and from
    the bucket with the next backup run.
    """
    tally = Tally()
    tally.add(objects=0)
    chat = Chat.objects.filter(pk=chat_id, start_seq__lte=seq, last_seq__gte=seq).first()
    if chat is None:
        raise NotFound
    with transaction.atomic():
        Chat.objects.select_for_update(no_key=True).get(pk=chat_id)
        message = Message.objects.filter(chat=chat_id, seq=seq).first()
        if message is not None and message.kind == Message.Kind.SYSTEM:
            raise NotFound("That is no user's text.")
        Message.objects.filter(chat=chat_id, seq=seq).update(kind=Message.Kind.REMOVED, text="")
        TrimmedSend.objects.filter(chat=chat_id, seq=seq).update(digest=None)
        erasure, _ = Erasure.objects.update_or_create(
            chat_id=chat_id, seq=seq, defaults={"done_at": None}
        )
        step("erase.asked.inside")
    step("erase.asked")
    forget_chat(chat.number)
    _try(erasure, tally)
    return {"command": "erase", **tally.report()}


def finish(tally: Tally) -> None:
    """Go on with every erasure that is not done."""
    for erasure in Erasure.objects.filter(done_at=None):
        _try(erasure, tally)
    for erased in ErasedUser.objects.filter(done_at=None):
        try:
            _delete_prefix(erased.user_id, tally)
        except FAILURES as error:
            tally.fail(f"erasing user {erased.user_id}", error)


def _try(erasure: Erasure, tally: Tally) -> None:
    try:
        chat = Chat.objects.get(pk=erasure.chat_id)
        forget_chat(chat.number)
        with chat_lock(chat.number) as lock:
            _erase_from_objects(chat.pk, erasure.seq, lock, tally)
            withdraw_exports(of=_readers(chat.pk, erasure.seq))
            Erasure.objects.filter(pk=erasure.pk).update(done_at=Now())
        step("erase.done")
        tally.add(erased=1)
    except FAILURES as error:
        tally.fail(f"erasing {erasure}", error)


def _readers(chat_id: UUID, seq: int) -> Q:
    """Return what says, of a row with a user, whether they may read a message."""
    could = Membership.objects.filter(
        Q(last_seq=None) | Q(last_seq__gte=seq), chat=chat_id, first_seq__lte=seq
    )
    return Q(user__in=could.values("user"))


def _erase_from_objects(chat_id: UUID, seq: int, lock: ChatLock, tally: Tally) -> None:
    """Write the objects that hold a message again without its text; needs the chat's lock."""
    segment = (
        Segment.objects.select_related("chat")
        .filter(chat=chat_id, first_seq__lte=seq, last_seq__gte=seq, purged_at=None)
        .first()
    )
    if segment is None:
        return
    part = part_of(segment, patient)
    for user_id, ranges in part.readers().items():
        if contains(ranges, seq) and user_id in part.known:
            row = HourObject.objects.filter(segment=segment, user=user_id)
            packed = part.pack(user_id, ranges, partial(_without, part, user_id, seq))
            _rewrite_without(part, row, user_id, packed, lock)
            tally.add(objects=1)


def _rewrite_without(
    part: Part, row: QuerySet[HourObject], user_id: UUID, packed: Packed, lock: ChatLock
) -> None:
    """Write a user's object without the message; readers take both for right meanwhile."""
    known = part.known[user_id]
    sha256 = bytes.fromhex(packed.facts.sha256)
    row.update(next_sha256=sha256)
    step("erase.announced")
    etag, size = write_object(part.store, part.key(user_id), packed, lock, replaces=known.etag)
    with transaction.atomic():
        lock.check()
        row.update(sha256=sha256, next_sha256=None, etag=etag, size=size)
    step("erase.rewritten")
    for digest in filter(None, (known.sha256, known.coming)):
        try:
            cache.execute("DEL", f"a:{user_id}:{digest.hex()}")
        except CacheUnavailable:
            logger.info("a page that the cache keeps of the erased message ends by itself")


def _without(part: Part, user_id: UUID, erased: int) -> Iterator[tuple[int, bytes]]:
    """Yield what a user's object holds from before `db_seq`, one message without its text."""
    for seq, raw in part.old_lines(user_id):
        if seq != erased:
            yield seq, raw
            continue
        message = message_from(raw, part.chat.id) | {"kind": Message.Kind.REMOVED, "text": ""}
        yield seq, line_of(message).seen_by(str(user_id).encode())


def erase_user(*, user_id: UUID) -> dict[str, Any]:
    """Anonymise an account, shut it and delete its archive; report. Raises NotFound.

    What they wrote stays in others' copies, under an id that names nobody.
    """
    tally = Tally()
    tally.add(objects=0)
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        raise NotFound
    with transaction.atomic():
        ban_user(user=user)
        user.username = f"erased-{user.pk.hex}"
        user.display_name = "Erased user"
        user.set_unusable_password()
        user.save()
        ErasedUser.objects.update_or_create(user=user, defaults={"done_at": None})
    step("erase.user")
    try:
        _delete_prefix(user_id, tally)
    except FAILURES as error:
        tally.fail(f"erasing user {user_id}", error)
    return {"command": "erase", **tally.report()}


def _delete_prefix(user_id: UUID, tally: Tally) -> None:
    """Delete all of a user's objects, then what the index knows of them."""
    withdraw_exports(of=Q(user=user_id))
    keys = (key for key, _ in patient.keys(f"{user_id}/"))
    while some := list(islice(keys, DELETE_AT_ONCE)):
        patient.delete(some)
        step("erase.prefix")
        tally.add(objects=len(some))
    HourObject.objects.filter(user=user_id).delete()
    ErasedUser.objects.filter(user=user_id).update(done_at=Now())
