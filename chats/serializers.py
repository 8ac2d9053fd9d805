"""What the routes of chats take and give."""

from typing import Any

from rest_framework import serializers

from common.fields import StrictUUIDField
from common.samples import AT, CHAT, sample
from messaging.models import Chat
from messaging.sending import SendSerializer


class SendMessageSerializer(SendSerializer):
    """A text to a user."""

    recipient_id = StrictUUIDField(help_text="The user to write to.")


@sample(
    {
        "chat_id": CHAT,
        "kind": "private",
        "name": "Bob",
        "start": 1,
        "end": 1,
        "last_at": AT,
        "created_at": AT,
    }
)
class ChatSerializer(serializers.Serializer[Any]):
    """A chat as one of its members sees it."""

    chat_id = StrictUUIDField(source="id")
    kind = serializers.ChoiceField(choices=Chat.Kind.choices)
    name = serializers.CharField(
        source="shown_name", help_text="A group's name; in a private chat the other user's."
    )
    start = serializers.IntegerField(help_text="The first seq there is, as far as you may see.")
    end = serializers.IntegerField(help_text="The last seq there is, as far as you may see.")
    last_at = serializers.DateTimeField(
        source="shown_last_at", help_text="When the last message that you may see was sent."
    )
    created_at = serializers.DateTimeField()
