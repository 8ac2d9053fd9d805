"""Writing to the log: sending a text, and appending what happens to a group."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from common.database import Statement, row
from common.errors import Conflict, Forbidden, NotFound, Refusal, Unavailable
from common.ids import new_id
from messaging import kept_sends, models
from messaging.models import Message
from messaging.telling import Told, chat_facts, tell
from messaging.tiers import Chat
from messaging.wire import Line, make_line, to_micros

_SEND = Statement(
    "SELECT outcome, chat, number, seq, (date_part('epoch', sent_at) * 1e6)::bigint, wide, opened,"
    " readers, kept FROM messaging_send({}, {}, {}, {}, {}, {})",
    6,
)
_APPEND = "SELECT seq, sent_at FROM messaging_append(%s, %s, 'system', %s, NULL, %s)"
_READERS = (
    "SELECT string_agg(user_id::text || ' ' || first_seq::text, ',')"
    " FROM messaging_membership WHERE chat_id = %s AND last_seq IS NULL"
)


class Blocked(Forbidden):
    """The one rule of blocking: who is blocked by a user can't reach that user anew."""

    default_code = "blocked"
    default_detail = "This user has blocked you."


class Frozen(Forbidden):
    """Moderators have frozen the group: it can be read and left, and nothing else."""

    default_code = "frozen"
    default_detail = "Moderators have frozen this group. You can read it, and leave it."
    field = "group_id"


class Returning(Unavailable):
    """The chat is being restored: what is written now would take the place of what comes back."""

    default_code = "chat_returning"
    default_detail = (
        "This chat is being restored, and takes messages again when that is done. "
        "Send the same request again later."
    )


class ClientIdTaken(Conflict):
    """The same client_id was used for another text."""

    default_code = "client_id_conflict"
    default_detail = (
        "You have sent another text with this client_id to this chat. Use a new client_id."
    )
    field = "client_id"


_REFUSALS: dict[str | None, type[Refusal]] = {
    "absent": NotFound,
    "blocked": Blocked,
    "frozen": Frozen,
    "returning": Returning,
    "conflict": ClientIdTaken,
}
_OF_THE_TARGET = {"absent", "blocked"}


@dataclass(frozen=True, slots=True)
class Sent:
    """A message in the log: the one just sent, or the first one of its client_id."""

    line: Line
    created: bool


def send_text(
    *,
    sender_id: UUID,
    text: str,
    client_id: str | None = None,
    recipient_id: UUID | None = None,
    chat_id: UUID | None = None,
    may_open: Callable[[], None] | None = None,
) -> Sent:
    """Send a text to a user (`recipient_id`) or into a group (`chat_id`).

    One statement, one transaction, then one round trip to the cache. When it returns the message
    is on disk. Raises NotFound, Blocked, Frozen, Returning or ClientIdTaken; then nothing was
    written.

    `may_open` is called before a chat is opened, and may raise; the statement then runs twice.
    """
    new_chat = new_id() if may_open is None else None
    sender = str(sender_id)
    names = [None if one is None else str(one) for one in (recipient_id, chat_id, new_chat)]
    parameters = [sender, *names, text, client_id]
    found = _SEND(parameters)[0]
    if found[0] == "unopened" and may_open is not None:
        may_open()
        parameters[3] = str(new_id())
        found = _SEND(parameters)[0]
    outcome, chat, number, seq, at, wide, opened, readers, kept = found
    kind = Message.Kind.TEXT
    if outcome == "kept":
        outcome, kind = _compare(text, kept or "")
    if outcome in _REFUSALS:
        target = "recipient_id" if chat_id is None else "group_id"
        raise _REFUSALS[outcome](field=target if outcome in _OF_THE_TARGET else None)
    if chat is None or number is None or seq is None or at is None:
        raise RuntimeError(f"messaging_send said {outcome!r} and no message")
    line = make_line(
        chat_id=chat,
        seq=int(seq),
        sender_id=sender,
        kind=kind,
        text="" if kind == Message.Kind.REMOVED else text,
        at=int(at),
        client_id=client_id,
    )
    id_ = UUID(chat)
    tell(
        Told(
            chat=Chat(id_, int(number)),
            line=line,
            readers="" if wide == "t" else readers or "",
            facts=chat_facts([id_])[id_] if opened == "t" else (),
        )
    )
    return Sent(line, created=outcome == "sent")


def _compare(text: str, kept: str) -> tuple[str, Message.Kind]:
    """Return the outcome of a send whose client_id stands for a text that has left the database."""
    same, removed = kept_sends.is_repeat(text, kept)
    return (
        "repeat" if same else "conflict",
        Message.Kind.REMOVED if removed else Message.Kind.TEXT,
    )


def append_system(
    *,
    chat: models.Chat,
    actor_id: UUID,
    text: str,
    subject_id: UUID | None = None,
    moved: Collection[UUID] = (),
) -> tuple[int, datetime]:
    """Append what happened to a group to its log; return the entry's seq and time.

    Needs a transaction that holds the chat's row. The cache is told after the commit; `moved` are
    the users whose membership changed with it.
    """
    seq, sent_at = row(_APPEND, (chat.pk, actor_id, text, subject_id))
    line = make_line(
        chat_id=str(chat.pk),
        seq=seq,
        sender_id=str(actor_id),
        kind=Message.Kind.SYSTEM,
        text=text,
        at=to_micros(sent_at),
        client_id=None,
        subject_id=str(subject_id) if subject_id else None,
    )
    tier_chat = Chat(chat.pk, chat.number)

    def after_commit() -> None:
        readers = "" if chat.wide else readers_of(chat.pk)
        facts = chat_facts([chat.pk])[chat.pk] if seq == 1 else ()
        tell(Told(tier_chat, line, readers, moved, facts))

    transaction.on_commit(after_commit)
    return seq, sent_at


def readers_of(chat_id: UUID) -> str:
    """Return a chat's members as `tell.lua` takes them: `user first_seq,...`."""
    return row(_READERS, (chat_id,))[0] or ""
