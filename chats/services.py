"""Private chats: writing to a user."""

from collections.abc import Callable
from uuid import UUID

from common.errors import Refusal
from messaging.services import Sent, send_text


class ToOneself(Refusal):
    """A private chat has two users."""

    default_code = "to_oneself"
    default_detail = "You can't write to yourself. Give another user's id."
    field = "recipient_id"


def send_message(
    *,
    sender_id: UUID,
    recipient_id: UUID,
    text: str,
    client_id: str | None = None,
    may_open: Callable[[], None] | None = None,
) -> Sent:
    """Send a text to a user; the first one opens their chat, before which `may_open` is called.

    Raises ToOneself, NotFound when there is no such user, Blocked when they block the sender,
    ClientIdTaken when the client_id stands for another text.
    """
    if sender_id == recipient_id:
        raise ToOneself
    return send_text(
        sender_id=sender_id,
        recipient_id=recipient_id,
        text=text,
        client_id=client_id,
        may_open=may_open,
    )
