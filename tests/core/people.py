"""Users with a token who send and poll, as the tests of the core need them."""

from itertools import count
from typing import Any
from uuid import UUID

from rest_framework.test import APIClient

from accounts import services as accounts
from accounts.models import User
from chats.services import send_message
from groups import services as groups

_numbers = count(1)


class Person:
    """A user, their client and their cursor."""

    def __init__(self, name: str | None = None) -> None:
        self.user = User.objects.create_user(name or f"person{next(_numbers)}")
        self.id: UUID = self.user.pk
        self.client = APIClient()
        self.token = accounts._issue(self.user)
        self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {self.token}")
        self.cursor: str | None = None
        self.received: list[tuple[str, int, str]] = []

    @classmethod
    def again(cls, person: "Person") -> "Person":
        """Return another device of the same user."""
        device = cls.__new__(cls)
        device.user, device.id, device.token = person.user, person.id, person.token
        device.client = APIClient()
        device.client.credentials(HTTP_AUTHORIZATION=f"Bearer {device.token}")
        device.cursor, device.received = None, []
        return device

    def post(self, path: str, **body: Any) -> Any:
        """Return the response to a verb."""
        return self.client.post(path, body, format="json")

    def poll(self, limit: int | None = None) -> dict[str, Any]:
        """Poll once with the cursor, keep the new one and what was received; return the answer."""
        body: dict[str, Any] = {}
        if self.cursor is not None:
            body["cursor"] = self.cursor
        if limit is not None:
            body["limit"] = limit
        response = self.post("/get_messages", **body)
        assert response.status_code == 200, response.content
        answer: dict[str, Any] = response.json()
        answer["served_from"] = response["X-Served-From"]
        self.cursor = answer["cursor"]
        assert len(answer["cursor"]) <= 4096
        for chat in answer["chats"]:
            assert chat["messages"]
            for message in chat["messages"]:
                assert message["chat_id"] == chat["chat_id"]
                self.received.append((chat["chat_id"], message["seq"], message["text"]))
        return answer

    def drain(self, limit: int | None = None) -> list[str]:
        """Poll until nothing is left; return the texts received meanwhile."""
        before = len(self.received)
        while self.poll(limit)["has_more"]:
            pass
        return [text for _, _, text in self.received[before:]]

    def say(self, other: "Person", text: str, client_id: str | None = None) -> Any:
        """Send a private message through the service."""
        return send_message(
            sender_id=self.id, recipient_id=other.id, text=text, client_id=client_id
        )

    def tell(self, group_id: UUID, text: str) -> Any:
        """Send a message to a group through the service."""
        return groups.send_message_to_group(sender_id=self.id, group_id=group_id, text=text)

    def group(self, *others: "Person", name: str = "group") -> UUID:
        """Create a group."""
        return groups.create_group(
            owner_id=self.id, name=name, member_ids=[other.id for other in others]
        ).group_id
