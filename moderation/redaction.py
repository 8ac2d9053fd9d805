"""Redacting: a message's text goes from every tier, by the archive's erase.

The wish is committed with its entry in the audit log before anything goes, and a task carries it
out: at once where the queue can be reached, within a minute where not, again where it failed.
"""

import logging
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from accounts.models import User
from accounts.rights import require, require_above
from archive.erase import erase_message
from audit import actors
from audit.actors import Actor
from audit.models import Action, ActorKind
from audit.services import Target, record
from common.errors import NotFound
from messaging.models import Chat, Message
from moderation.errors import GlassWhole
from moderation.glass import open_for
from moderation.models import Redaction
from moderation.reading import page_of

logger = logging.getLogger(__name__)


def redact_message(*, chat_id: UUID, seq: int, reason: str, by: Actor | None = None) -> Redaction:
    """Take a message's text out of all tiers; its seq stays, with kind `removed`.

    In a private chat this needs a report of the message (`cases.resolve`) or broken glass. Raises
    NotYours, NotToThem, NotFound, GlassWhole; Unavailable where cold storage alone can tell whose
    the message is, and is away.
    """
    by = by or actors.current()
    require(by, "messaging.delete_message")
    chat = Chat.objects.filter(pk=chat_id, start_seq__lte=seq, last_seq__gte=seq).first()
    if chat is None:
        raise NotFound
    private = chat.kind == Chat.Kind.PRIVATE
    if private and by.kind == ActorKind.USER and open_for(by, chat_id) is None:
        raise GlassWhole
    kind, sender_id = _what_stands_there(chat_id, seq)
    if kind == Message.Kind.SYSTEM:
        raise NotFound("That is no user's text.")
    sender = User.objects.filter(pk=sender_id).first() if sender_id else None
    if sender is not None:
        require_above(by, sender)
    return ask(chat_id=chat_id, seq=seq, reason=reason, by=by)


def _what_stands_there(chat_id: UUID, seq: int) -> tuple[str, UUID | None]:
    """Return a message's kind and sender, whichever tier holds it by now."""
    message = Message.objects.filter(chat=chat_id, seq=seq).first()
    if message is not None:
        return message.kind, message.sender_id
    for shown in page_of(chat_id, limit=0, within=(seq, seq)).messages:
        return shown.kind, shown.sender_id
    return Message.Kind.TEXT, None


def ask(*, chat_id: UUID, seq: int, reason: str, by: Actor) -> Redaction:
    """Commit the wish with the caller's transaction; whoever calls has asked the rights."""
    with transaction.atomic():
        redaction, new = Redaction.objects.get_or_create(
            chat_id=chat_id, seq=seq, defaults={"reason": reason, "asked_by_id": by.id}
        )
        if new:
            target = Target("message", f"{chat_id}/{seq}")
            record(Action.REDACT, by=by, target=target, reason=reason)
        transaction.on_commit(hurry)
    return redaction


def hurry() -> None:
    """Have the task run now. Without the queue it runs when the scheduler says so."""
    from kombu.exceptions import OperationalError  # noqa: PLC0415

    from moderation.tasks import redact  # noqa: PLC0415

    try:
        redact.apply_async(retry=False, ignore_result=True)
    except OperationalError as error:
        logger.warning("a redaction waits for the scheduler, as the queue is away: %s", error)


def waiting() -> QuerySet[Redaction]:
    """Return the redactions that are not carried out."""
    return Redaction.objects.filter(done_at=None).order_by("pk")


def carry_out() -> int:
    """Carry out every redaction that waits; return how many are done. Idempotent."""
    done = 0
    for redaction in waiting():
        try:
            report = erase_message(chat_id=redaction.chat_id, seq=redaction.seq)
        except NotFound as error:
            # It has left the last tier meanwhile, or never was a text: nothing of it is left.
            Redaction.objects.filter(pk=redaction.pk).update(
                done_at=Now(), note=f"nothing to erase: {error.detail}"
            )
            continue
        if report["ok"]:
            Redaction.objects.filter(pk=redaction.pk).update(done_at=Now(), note="")
            done += 1
        else:
            note = "; ".join(report.get("failures", []))[:500]
            Redaction.objects.filter(pk=redaction.pk).update(note=note)
    return done
