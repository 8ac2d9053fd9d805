"""The routes of chats: writing to a user, and the caller's chats."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.reach import reaching
from chats import services
from chats.serializers import ChatSerializer, SendMessageSerializer
from common.errors import NotFound
from common.ids import parse_id
from common.samples import BOB
from common.schema import refusal
from common.views import caller_id
from messaging import selectors
from messaging.models import Chat
from messaging.sending import SendView
from messaging.serializers import MessageSerializer
from messaging.services import Blocked, ClientIdTaken, Sent


class SendMessageView(SendView):
    """Write to a user. The first message opens your private chat with them.

    With a `client_id` the request may be repeated as often as you like: the message is sent once.
    """

    serializer_class = SendMessageSerializer
    target = "recipient_id"
    sample = {
        "recipient_id": BOB,
        "text": "Hello!",
        "client_id": "my-first-message",
    }

    @extend_schema(
        operation_id="send_message",
        responses={
            201: MessageSerializer,
            200: OpenApiResponse(MessageSerializer, "This client_id had been sent before."),
            400: refusal(services.ToOneself, invalid=True),
            403: refusal(Blocked),
            404: refusal(NotFound, about="There is no such user."),
            409: refusal(ClientIdTaken),
        },
    )
    def post(self, request: Request) -> Response:
        """Write to a user."""
        return super().post(request)

    def send(
        self,
        *,
        sender_id: UUID,
        target_id: UUID,
        text: str,
        client_id: str | None,
        meta: Mapping[str, Any],
    ) -> Sent:
        """Send."""
        return services.send_message(
            sender_id=sender_id,
            recipient_id=target_id,
            text=text,
            client_id=client_id,
            may_open=reaching(sender_id, meta),
        )


class ChatViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Chat]):
    """The chats that you are in, the latest opened first."""

    serializer_class = ChatSerializer
    queryset = Chat.objects.none()
    ordering = ("-number",)

    def get_queryset(self) -> QuerySet[Chat]:
        """Return the caller's chats."""
        return selectors.chats_of(caller_id(self.request))

    @extend_schema(responses={200: ChatSerializer})
    def retrieve(self, request: Request, pk: str) -> Response:
        """Return one chat that you are in, or a group that you have left."""
        id_ = parse_id(pk)
        chat = selectors.chat_seen_by(id_, caller_id(request)) if id_ else None
        if chat is None:
            raise NotFound
        return Response(self.get_serializer(chat).data)
