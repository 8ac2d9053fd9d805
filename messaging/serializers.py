"""What the core's routes take and give."""

from typing import Any

from rest_framework import serializers

from common.fields import (
    QueryIntegerField,
    StrictCharField,
    StrictIntegerField,
    StrictUUIDField,
)
from common.samples import CHAT, MESSAGE, sample
from messaging.models import Chat, Message

DEFAULT_LIMIT = 100
MAX_LIMIT = 500
PAGE_LIMIT = 50


class GetMessagesSerializer(serializers.Serializer[Any]):
    """What a poll says."""

    cursor = StrictCharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="The cursor of the last answer, unchanged. Leave it out on the first poll.",
    )
    limit = StrictIntegerField(
        required=False,
        allow_null=True,
        default=DEFAULT_LIMIT,
        min_value=1,
        max_value=MAX_LIMIT,
        help_text="The most messages in the answer.",
    )


@sample(MESSAGE)
class MessageSerializer(serializers.Serializer[Any]):
    """A message, named by its chat and its place in it."""

    chat_id = StrictUUIDField()
    seq = serializers.IntegerField(min_value=1, help_text="1, 2, 3 … without gaps.")
    sender_id = StrictUUIDField()
    kind = serializers.ChoiceField(choices=Message.Kind.choices)
    text = serializers.CharField(help_text="Byte for byte as it was sent.")
    sent_at = serializers.DateTimeField()
    client_id = serializers.CharField(
        allow_null=True, help_text="The sender's own; null for everybody else."
    )


class ChatNewsSerializer(serializers.Serializer[Any]):
    """What is new in one chat."""

    chat_id = StrictUUIDField()
    kind = serializers.ChoiceField(choices=Chat.Kind.choices)
    name = serializers.CharField(help_text="A group's name; in a private chat the other user's.")
    start = serializers.IntegerField(help_text="The first seq there is, as far as you may see.")
    end = serializers.IntegerField(help_text="The last seq there is, as far as you may see.")
    messages = MessageSerializer(many=True)


@sample(
    {
        "chats": [
            {
                "chat_id": CHAT,
                "kind": "private",
                "name": "Ada",
                "start": 1,
                "end": 1,
                "messages": [{**MESSAGE, "client_id": None}],
            }
        ],
        "cursor": "AQGYDz57HHw6nVUBI0VniasBgICg.f0Xk",
        "has_more": False,
        "reset": False,
    }
)
class PollSerializer(serializers.Serializer[Any]):
    """The answer to a poll."""

    chats = ChatNewsSerializer(many=True)
    cursor = serializers.CharField(help_text="Keep it and send it with the next poll.")
    has_more = serializers.BooleanField(
        help_text="`limit`, or 1 MiB of messages, cut the answer: poll again at once."
    )
    reset = serializers.BooleanField(
        help_text="The server's history was rolled back: forget what you have and start from this."
    )


@sample(
    {
        "next": f"https://chat.example/chats/{CHAT}/messages/?before=1&limit=50",
        "previous": None,
        "results": [MESSAGE],
    }
)
class PageSerializer(serializers.Serializer[Any]):
    """A page of a chat's history, oldest first."""

    next = serializers.URLField(allow_null=True, help_text="Leads to older messages.")
    previous = serializers.URLField(allow_null=True, help_text="Leads to newer messages.")
    results = MessageSerializer(many=True)


class PageQuerySerializer(serializers.Serializer[Any]):
    """What a page may be asked for."""

    before = QueryIntegerField(required=False, help_text="Only what has a smaller seq.")
    after = QueryIntegerField(required=False, help_text="Only what has a larger seq.")
    limit = QueryIntegerField(required=False, min_value=1, max_value=MAX_LIMIT, default=PAGE_LIMIT)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a page that is to end and to begin somewhere."""
        if "before" in attrs and "after" in attrs:
            raise serializers.ValidationError(
                {"after": "Give before or after, not both."}, code="before_and_after"
            )
        return attrs
