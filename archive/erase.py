"""Erase: a message's text out of all three tiers, or a user's account and archive.

The wish is in the bucket before anything changes and in the database with the first change, and is
done when nothing is left: every backup run goes on with what a crash left undone, and a restore
honours it. A message keeps its seq; its kind becomes `removed`, its text is empty.
"""

import logging
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import User
from accounts.services import ban_user
from archive import contradicted, wishes
from archive.erase_objects import erase_from_segment, holds_texts_of, kind_of
from archive.export_making import withdraw_exports
from archive.locks import chat_lock
from archive.manifest_notes import gone, note, note_user
from archive.models import ErasedUser, Erasure, HourObject, Segment
from archive.runs import FAILURES, Tally
from archive.steps import step
from archive.store import DELETE_AT_ONCE, ArchiveUnavailable, patient
from common.database import rows
from common.errors import NotFound
from messaging import kept_sends
from messaging.models import Chat, Membership, Message, TrimmedSend
from messaging.telling import forget_chat

logger = logging.getLogger(__name__)
BATCH = 500
UNREACHED_SHOWN = 100
_NO_TEXT_OF_SOMEBODY = "That is no user's text."
_LACKING = Q(done_at=None)


def erase_message(*, chat_id: UUID, seq: int, dry_run: bool = False) -> dict[str, Any]:
    """Take a message's text out of every tier; report. Raises NotFound for what is no text.

    When cold storage is away the text is gone from the database and the cache at once, and from
    the bucket with the next backup run.
    """
    tally = Tally()
    tally.add(objects=0)
    chat = Chat.objects.filter(pk=chat_id, start_seq__lte=seq, last_seq__gte=seq).first()
    if chat is None or _kind_of(chat, seq) == Message.Kind.SYSTEM:
        raise NotFound(_NO_TEXT_OF_SOMEBODY)
    if dry_run:
        tally.add(objects=HourObject.objects.filter(_copies_of(chat_id, seq)).count())
        return {"command": "erase", "dry_run": True, **tally.report()}
    _wish(lambda: wishes.note_message(patient, chat_id, seq))
    step("erase.wished")
    erasure = _ask(chat_id, seq)
    step("erase.asked")
    forget_chat(chat.number)
    _try(erasure, tally)
    return {"command": "erase", **tally.report()}


def _copies_of(chat_id: UUID, seq: int) -> Q:
    return Q(
        segment__chat=chat_id, segment__first_seq__lte=seq, segment__last_seq__gte=seq,
        first_seq__lte=seq, last_seq__gte=seq, segment__purged_at=None,
    )  # fmt: skip


def _segment_of(chat_id: UUID, seq: int) -> Segment | None:
    return (
        Segment.objects.select_related("chat")
        .filter(chat=chat_id, first_seq__lte=seq, last_seq__gte=seq, purged_at=None)
        .first()
    )


def _kind_of(chat: Chat, seq: int) -> str | None:
    """Return a message's kind; None where it can't be told, since cold storage is away."""
    message = Message.objects.filter(chat=chat.pk, seq=seq).first()
    if message is not None:
        return message.kind
    segment = _segment_of(chat.pk, seq)
    try:
        return kind_of(segment, seq) if segment else None
    except ArchiveUnavailable:
        return None


def _wish(note: Any) -> None:
    """Keep a wish in the bucket; where that is away, the next backup run does it."""
    try:
        note()
    except ArchiveUnavailable:
        logger.warning("the bucket does not know of an erasure yet: the next backup tells it")


def _ask(chat_id: UUID, seq: int) -> Erasure:
    """Take a message's text out of the database, and note that it is to go everywhere."""
    with transaction.atomic():
        # The chat's row first, as everybody does.
        Chat.objects.select_for_update(no_key=True).get(pk=chat_id)
        kept_sends.take_texts(chat_id, Message.objects.filter(seq=seq))
        TrimmedSend.objects.filter(chat=chat_id, seq=seq).update(removed=True)
        erasure, _ = Erasure.objects.update_or_create(
            chat_id=chat_id, seq=seq, defaults={"done_at": None}
        )
        step("erase.asked.inside")
    return erasure


def finish(tally: Tally) -> None:
    """Go on with every erasure that is not done, those that only the bucket knows of included."""
    try:
        _adopt()
    except FAILURES as error:
        tally.fail("the bucket's wishes to erase", error)
    for erasure in Erasure.objects.filter(_LACKING):
        _try(erasure, tally)
    for erased in ErasedUser.objects.filter(_LACKING):
        _try_user(erased, tally)


def _adopt() -> None:
    """Take up wishes whose run died before the database knew of them; forget those fulfilled."""
    for chat_id, seq in list(wishes.messages(patient)):
        known = Erasure.objects.filter(chat=chat_id, seq=seq).first()
        chat = Chat.objects.filter(pk=chat_id).first()
        if known is not None and known.done_at is not None:
            wishes.forget_message(patient, chat_id, seq)
        elif known is None and chat and wishes.message_is_signed(patient, chat_id, seq):
            _ask(chat_id, seq)
            forget_chat(chat.number)
    for user_id, texts in wishes.users(patient).items():
        user = User.objects.filter(pk=user_id).first()
        if user is None or ErasedUser.objects.filter(user=user, texts__gte=texts).exists():
            continue
        if wishes.user_is_signed(patient, user_id, texts=texts):
            _shut(user, texts=texts)


def honour() -> int:
    """Erase from the database what the bucket says is to be erased; return how much that is.

    For a restore, which brings back what was written before. The objects are the next backup's.
    """
    count = 0
    for chat_id, seq in list(wishes.messages(patient)):
        is_there = Chat.objects.filter(pk=chat_id).exists()
        if is_there and wishes.message_is_signed(patient, chat_id, seq):
            _ask(chat_id, seq)
            count += 1
    for user_id, texts in wishes.signed_users(patient):
        user = User.objects.filter(pk=user_id).first()
        if user is not None:
            _shut(user, texts=texts)
            if texts:
                for chat in _chats_of(user_id):
                    _erase_rows(chat, user_id)
            count += 1
    return count


def _try(erasure: Erasure, tally: Tally) -> None:
    chat_id, seq = erasure.chat_id, erasure.seq
    try:
        chat = Chat.objects.get(pk=chat_id)
        forget_chat(chat.number)
        wishes.note_message(patient, chat_id, seq)
        with chat_lock(chat.number) as lock:
            segment, unreached = _segment_of(chat_id, seq), list[str]()
            if segment is not None:
                unreached = erase_from_segment(
                    segment, lambda m: m["seq"] == seq, lock, tally, seq=seq
                )
            contradicted.erase_message(patient, chat_id, seq)
            withdraw_exports(of=_readers(chat_id, seq))
            Erasure.objects.filter(pk=erasure.pk).update(
                done_at=Now(), unreached=_named(unreached, tally)
            )
        step("erase.done")
        wishes.forget_message(patient, chat_id, seq)
        tally.add(erased=1)
    except FAILURES as error:
        tally.fail(f"erasing {erasure}", error)


def _named(unreached: list[str], tally: Tally) -> str:
    """Return what a row says of objects that could not be reached; count them."""
    if unreached:
        tally.add(unreached=len(unreached))
    more = len(unreached) - UNREACHED_SHOWN
    return "\n".join(unreached[:UNREACHED_SHOWN] + ([f"and {more} more"] if more > 0 else []))


def _readers(chat_id: UUID, seq: int) -> Q:
    """Return what says, of a row with a user, whether they may read a message."""
    could = Membership.objects.filter(
        Q(last_seq=None) | Q(last_seq__gte=seq), chat=chat_id, first_seq__lte=seq
    )
    return Q(user__in=could.values("user"))


def erase_user(*, user_id: UUID, texts: bool = False, dry_run: bool = False) -> dict[str, Any]:
    """Anonymise an account, shut it and delete its archive; report. Raises NotFound.

    What they wrote stays in others' copies, under an id that names nobody; with `texts` it goes
    from those too, and each such message becomes a removed one.
    """
    tally = Tally()
    tally.add(objects=0)
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        raise NotFound
    if dry_run:
        tally.add(objects=HourObject.objects.filter(user=user_id).count())
        if texts:
            tally.add(chats=len(_chats_of(user_id)))
        return {"command": "erase", "dry_run": True, **tally.report()}
    _wish(lambda: wishes.note_user(patient, user_id, texts=texts))
    step("erase.wished")
    erased = _shut(user, texts=texts)
    step("erase.user")
    _try_user(erased, tally)
    return {"command": "erase", **tally.report()}


def _shut(user: User, *, texts: bool) -> ErasedUser:
    """Take a user's name, password and tokens away, and note that their archive is to go."""
    with transaction.atomic():
        ban_user(user=user)
        user.username = f"erased-{user.pk.hex}"
        user.display_name = "Erased user"
        user.set_unusable_password()
        user.save()
        erased, _ = ErasedUser.objects.update_or_create(
            user=user, defaults={"done_at": None, **({"texts": True} if texts else {})}
        )
    erased.refresh_from_db()
    return erased


def _try_user(erased: ErasedUser, tally: Tally) -> None:
    try:
        wishes.note_user(patient, erased.user_id, texts=erased.texts)
        unreached: list[str] = []
        if erased.texts:
            # Their own copies say where they wrote: those go last.
            for chat in _chats_of(erased.user_id):
                unreached += _erase_texts(chat, erased.user_id, tally)
                step("erase.texts")
            contradicted.erase_texts_of(patient, erased.user_id)
        # Their own go with all the others.
        others = [key for key in unreached if not key.startswith(f"{erased.user_id}/")]
        ErasedUser.objects.filter(pk=erased.pk).update(unreached=_named(others, tally))
        _delete_prefix(erased.user_id, tally)
    except FAILURES as error:
        tally.fail(f"erasing user {erased.user_id}", error)


def _chats_of(user_id: UUID) -> list[Chat]:
    mine = Membership.objects.filter(user=user_id).values("chat")
    return list(Chat.objects.filter(pk__in=mine).order_by("pk"))


def _erase_rows(chat: Chat, user_id: UUID) -> None:
    """Take a user's texts out of the database's part of a chat, some at a time."""
    theirs = Message.objects.filter(chat=chat.pk, sender=user_id, kind=Message.Kind.TEXT)
    while some := list(theirs.order_by("seq").values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            Chat.objects.select_for_update(no_key=True).get(pk=chat.pk)
            kept_sends.take_texts(chat.pk, Message.objects.filter(pk__in=some))
    kept, after = TrimmedSend.objects.filter(chat=chat.pk, sender=user_id), ""
    while sends := list(
        kept.filter(client_id__gt=after).order_by("client_id").values("pk", "client_id")[:BATCH]
    ):
        TrimmedSend.objects.filter(pk__in=[one["pk"] for one in sends]).update(removed=True)
        after = sends[-1]["client_id"]
    forget_chat(chat.number)


def _erase_texts(chat: Chat, user_id: UUID, tally: Tally) -> list[str]:
    """Take a user's texts out of a chat and everybody's copies; return keys not reached."""
    sender, unreached = str(user_id), []
    with chat_lock(chat.number) as lock:
        _erase_rows(chat, user_id)
        for segment in Segment.objects.select_related("chat").filter(_met(chat.pk, user_id)):
            if holds_texts_of(segment, user_id):
                unreached += erase_from_segment(
                    segment, lambda m: m["sender_id"] == sender, lock, tally
                )
    others = Membership.objects.filter(chat=chat.pk).values("user")
    withdraw_exports(of=Q(user__in=others))
    return unreached


def _met(chat_id: UUID, user_id: UUID) -> Q:
    """Return what says, of a segment, whether a user was in the chat during it."""
    found = rows(
        "SELECT s.id FROM archive_segment s WHERE s.chat_id = %(chat)s AND s.purged_at IS NULL"
        " AND EXISTS (SELECT FROM messaging_membership m"
        "              WHERE m.chat_id = s.chat_id AND m.user_id = %(user)s"
        "                AND m.first_seq <= s.last_seq"
        "                AND (m.last_seq IS NULL OR m.last_seq >= s.first_seq))",
        {"chat": chat_id, "user": user_id},
    )
    return Q(pk__in=[segment_id for (segment_id,) in found])


def _forget_objects(user_id: UUID) -> None:
    """Take a user's objects out of the index, and have the manifests say that they are gone."""
    theirs = HourObject.objects.filter(user=user_id).select_related("segment").order_by("pk")
    while some := list(theirs[:DELETE_AT_ONCE]):
        with transaction.atomic():
            note(gone(some))
            HourObject.objects.filter(pk__in=[one.pk for one in some]).delete()
    note_user(user_id)


def _delete_prefix(user_id: UUID, tally: Tally) -> None:
    """Delete all of a user's objects, then what the index knows of them."""
    for chat in _chats_of(user_id):
        # A run that began before the account was shut may be about to write another one.
        with chat_lock(chat.number):
            pass
    withdraw_exports(of=Q(user=user_id))
    keys = (key for key, _ in patient.keys(f"{user_id}/"))
    while some := list(islice(keys, DELETE_AT_ONCE)):
        patient.delete(some)
        step("erase.prefix")
        tally.add(objects=len(some))
    contradicted.drop_of(patient, user_id)
    _forget_objects(user_id)
    ErasedUser.objects.filter(user=user_id).update(done_at=Now())
