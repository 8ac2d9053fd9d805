"""Break glass: a chat is read for a while, for a reason that is kept, and each page is recorded."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import User
from accounts.rights import above, require
from audit import actors
from audit.actors import Actor
from audit.models import Action
from audit.services import Target, record
from common.errors import NotFound
from messaging.models import Chat
from moderation.errors import GlassWhole, ReasonMissing
from moderation.models import BreakGlass
from moderation.reading import ChatPage, page_of

REASON_MIN_CHARS = 10
PAGE = 50


def break_glass(*, chat_id: UUID, reason: str, by: Actor | None = None) -> BreakGlass:
    """Let the actor read a chat for BREAK_GLASS_MINUTES; one that is open already is returned.

    A private chat of somebody of the staff is opened by superusers alone. Raises NotYours,
    NotFound, GlassWhole, ReasonMissing for a reason of fewer than 10 characters.
    """
    by = by or actors.current()
    require(by, "moderation.add_breakglass")
    if len(reason.strip()) < REASON_MIN_CHARS:
        raise ReasonMissing
    chat = Chat.objects.select_related("low", "high").filter(pk=chat_id).first()
    if chat is None or by.id is None:
        raise NotFound
    if not _may_open(by, chat):
        raise GlassWhole("A private chat of somebody of the staff is opened by superusers alone.")
    with transaction.atomic():
        # One at a time for one moderator, by their own row.
        User.objects.select_for_update(no_key=True).get(pk=by.id)
        standing = open_for(by, chat_id)
        if standing is not None:
            return standing
        glass = BreakGlass.objects.create(
            chat=chat,
            opened_by_id=by.id,
            reason=reason,
            expires_at=timezone.now() + timedelta(minutes=settings.BREAK_GLASS_MINUTES),
        )
        record(
            Action.BREAK_GLASS,
            by=by,
            target=_chat(chat),
            reason=reason,
            after={"glass": str(glass.pk), "minutes": settings.BREAK_GLASS_MINUTES},
        )
    return glass


def close_glass(*, glass_id: UUID, by: Actor | None = None) -> bool:
    """End one's own reading before its time; return False when it had ended."""
    by = by or actors.current()
    with transaction.atomic():
        glass = BreakGlass.objects.select_related("chat").select_for_update(
            of=("self",), no_key=True
        )
        found = glass.filter(pk=glass_id, opened_by=by.id).first()
        if found is None:
            raise NotFound
        if not found.open:
            return False
        BreakGlass.objects.filter(pk=found.pk).update(closed_at=Now())
        record(Action.BREAK_GLASS_CLOSED, by=by, target=_chat(found.chat))
    return True


def open_for(by: Actor, chat_id: UUID) -> BreakGlass | None:
    """Return the glass through which an actor may read a chat now."""
    if by.id is None:
        return None
    return BreakGlass.objects.filter(
        chat=chat_id, opened_by=by.id, closed_at=None, expires_at__gt=timezone.now()
    ).first()


def read_chat(*, chat_id: UUID, before: int | None = None, by: Actor | None = None) -> ChatPage:
    """Return a page of a chat that the actor is not in, recorded before it is returned.

    A group's needs the right to look after groups, a private chat's broken glass. Raises NotYours,
    GlassWhole, NotFound, Unavailable.
    """
    by = by or actors.current()
    chat = Chat.objects.select_related("low", "high").filter(pk=chat_id).first()
    if chat is None:
        raise NotFound
    glass = open_for(by, chat_id)
    if chat.kind == Chat.Kind.GROUP:
        require(by, "groups.change_group")
    else:
        require(by, "moderation.add_breakglass")
        if glass is None:
            raise GlassWhole
    page = page_of(chat_id, before=before, limit=PAGE)
    with transaction.atomic():
        if glass is not None:
            BreakGlass.objects.filter(pk=glass.pk).update(pages_read=F("pages_read") + 1)
        record(
            Action.BREAK_GLASS_READ if glass else Action.CHAT_READ,
            by=by,
            target=_chat(chat),
            reason=glass.reason if glass else "",
            after=page.read(),
        )
    return page


def _may_open(by: Actor, chat: Chat) -> bool:
    return all(
        user is None or above(by, user) or user.pk == by.id for user in (chat.low, chat.high)
    )


def _chat(chat: Chat) -> Target:
    """Return a chat as the audit log names it."""
    names = chat.name or f"{chat.low} and {chat.high}"
    return Target(f"{chat.kind} chat", chat.pk, names)
