"""The small world that the OpenAPI document and the sample bodies are filled with."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer

ADA = "01980f3e-7b1c-7c3a-9d55-0123456789ab"
BOB = "01980f3e-7b1c-7c3a-9d55-0123456789cd"
CHAT = "01980f40-11aa-7d06-8c3b-0123456789ef"
GROUP = "01980f41-52d0-7aa1-9b1e-00000000000a"
AT = "2026-11-24T08:30:00.123456Z"

MESSAGE = {
    "chat_id": CHAT,
    "seq": 1,
    "sender_id": ADA,
    "kind": "text",
    "text": "Hello!",
    "sent_at": AT,
    "client_id": "my-first-message",
}


def sample(value: Any) -> Any:
    """Decorate a serializer with a sample of what it answers."""
    example = OpenApiExample(
        "sample", value, response_only=True, status_codes=["200", "201", "202"]
    )
    return extend_schema_serializer(examples=[example])
