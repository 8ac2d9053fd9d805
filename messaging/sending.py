"""What `send_message` and `send_message_to_group` share: the body's shape and the two ways in."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework import serializers

from accounts.authentication import admit_token, refuse_token
from common.fields import StrictCharField
from common.limits import SENDS
from common.quick import json_response, plain_body, plain_id
from messaging.models import CLIENT_ID_MAX_CHARS
from messaging.quick_verb import QuickVerb
from messaging.services import Sent


class TextField(StrictCharField):
    """A message's text: 1 to MESSAGE_MAX_CHARS code points, carried byte for byte."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", settings.MESSAGE_MAX_CHARS)
        kwargs.setdefault("style", {"base_template": "textarea.html"})
        super().__init__(**kwargs)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Validate as any field; DRF's own would take white space for nothing."""
        if isinstance(data, str) and data and not data.strip():
            value = self.to_internal_value(data)
            self.run_validators(value)
            return value
        return super().run_validation(data)


class SendSerializer(serializers.Serializer[Any]):
    """What a text is sent with, besides where to."""

    text = TextField(help_text="What to say.")
    client_id = StrictCharField(
        required=False,
        allow_null=True,
        min_length=1,
        max_length=CLIENT_ID_MAX_CHARS,
        help_text="Your own name for this message: makes the request safe to repeat.",
    )


def plain_text(body: dict[str, Any]) -> bool:
    """Say whether a body's text and client_id are certainly right."""
    text, client_id = body.get("text"), body.get("client_id")
    return (
        type(text) is str
        and 0 < len(text) <= settings.MESSAGE_MAX_CHARS
        and "\0" not in text
        and (
            client_id is None
            or (
                type(client_id) is str
                and 0 < len(client_id) <= CLIENT_ID_MAX_CHARS
                and "\0" not in client_id
                and not client_id.isspace()
            )
        )
    )


class SendView(QuickVerb):
    """A verb that sends a text. A subclass names the field that says where to, and the service."""

    target = ""
    limit = SENDS

    def send(
        self,
        *,
        sender_id: UUID,
        target_id: UUID,
        text: str,
        client_id: str | None,
        meta: Mapping[str, Any],
    ) -> Sent:
        """Call the service; `meta` is what is known of the request."""
        raise TypeError(f"{type(self).__name__} sends nothing")

    def perform(self, caller_id: UUID, body: dict[str, Any]) -> tuple[int, Any]:
        """Send."""
        sent = self.send(
            sender_id=caller_id,
            target_id=body[self.target],
            text=body["text"],
            client_id=body.get("client_id"),
            meta=self.request.META,
        )
        line = sent.line.seen_by(str(caller_id).encode())
        return (201 if sent.created else 200), orjson.Fragment(line)

    def quick(self, request: HttpRequest, token: str, **path: Any) -> HttpResponse | None:
        """Send a text whose body is certainly right."""
        body = plain_body(request)
        target_id = None if body is None else plain_id(body.get(self.target))
        if body is None or target_id is None or not plain_text(body):
            self.refuse_body(request, token)
            return None
        sender_id, taken = admit_token(token, SENDS, request.META)
        if sender_id is None:
            refuse_token(token)
            return None
        headers = None
        if taken is not None:
            taken.check()
            headers = taken.headers()
        sent = self.send(
            sender_id=sender_id,
            target_id=target_id,
            text=body["text"],
            client_id=body.get("client_id"),
            meta=request.META,
        )
        line = sent.line.seen_by(str(sender_id).encode())
        return json_response(line, 201 if sent.created else 200, headers)
