"""The routes of groups: their verbs, the caller's groups and their members."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.reach import TooManyAtOnce, count_reached
from common.errors import NotFound
from common.ids import parse_id
from common.limits import ADDS, GROUPS
from common.samples import BOB, GROUP
from common.schema import refusal
from common.views import Verb, caller_id
from groups import selectors, services
from groups.serializers import (
    CreateGroupSerializer,
    GroupMemberSerializer,
    GroupSerializer,
    MembershipSerializer,
    SendMessageToGroupSerializer,
    SetGroupRoleSerializer,
)
from messaging.models import Chat
from messaging.sending import SendView
from messaging.serializers import MessageSerializer
from messaging.services import Blocked, ClientIdTaken, Frozen, Sent

NO_MEMBER = refusal(NotFound, about="No such group, or you are not a member of it.")


class CreateGroupView(Verb):
    """Create a group; you are its owner."""

    serializer_class = CreateGroupSerializer
    limit = GROUPS
    sample = {"name": "Reading circle", "member_ids": [BOB]}

    @extend_schema(
        operation_id="create_group",
        responses={
            201: GroupSerializer,
            403: refusal(Blocked, TooManyAtOnce),
            404: refusal(NotFound, about="One of them does not exist."),
            409: refusal(services.GroupFull),
        },
    )
    def post(self, request: Request) -> Response:
        """Create a group."""
        return super().post(request)

    def perform(self, caller_id: UUID, body: dict[str, Any]) -> tuple[int, Any]:
        """Create it."""
        count_reached(caller_id, len(body["member_ids"] or ()), self.request.META)
        group = services.create_group(
            owner_id=caller_id, name=body["name"], member_ids=body["member_ids"] or ()
        )
        return 201, GroupSerializer(group).data


class AddUserToGroupView(Verb):
    """Put a user into a group; owner and admins only."""

    serializer_class = GroupMemberSerializer
    limit = ADDS
    sample = {"group_id": GROUP, "user_id": BOB}

    @extend_schema(
        operation_id="add_user_to_group",
        responses={
            201: MembershipSerializer,
            200: OpenApiResponse(MembershipSerializer, "A member already."),
            403: refusal(services.NotAllowed, Blocked, Frozen),
            404: NO_MEMBER,
            409: refusal(services.GroupFull),
        },
    )
    def post(self, request: Request) -> Response:
        """Add a user."""
        return super().post(request)

    def perform(self, caller_id: UUID, body: dict[str, Any]) -> tuple[int, Any]:
        """Add them."""
        count_reached(caller_id, 1, self.request.META, counted=True)
        member, created = services.add_user_to_group(actor_id=caller_id, **body)
        return (201 if created else 200), MembershipSerializer(member).data


class RemoveUserFromGroupView(Verb):
    """Take a user out of a group, or leave it yourself."""

    serializer_class = GroupMemberSerializer
    sample = {"group_id": GROUP, "user_id": BOB}

    @extend_schema(
        operation_id="remove_user_from_group",
        responses={
            200: OpenApiResponse(MembershipSerializer, "The membership as it was."),
            403: refusal(services.NotAllowed, Frozen),
            404: NO_MEMBER,
        },
    )
    def post(self, request: Request) -> Response:
        """Remove a user."""
        return super().post(request)

    def perform(self, caller_id: UUID, body: dict[str, Any]) -> tuple[int, Any]:
        """Remove them."""
        member = services.remove_user_from_group(actor_id=caller_id, **body)
        return 200, MembershipSerializer(member).data


class SetGroupRoleView(Verb):
    """Make a member an admin, a member, or the owner in your place; the owner only."""

    serializer_class = SetGroupRoleSerializer
    sample = {"group_id": GROUP, "user_id": BOB, "role": "admin"}

    @extend_schema(
        operation_id="set_group_role",
        responses={
            200: MembershipSerializer,
            403: refusal(services.NotAllowed, Frozen),
            404: NO_MEMBER,
        },
    )
    def post(self, request: Request) -> Response:
        """Set a role."""
        return super().post(request)

    def perform(self, caller_id: UUID, body: dict[str, Any]) -> tuple[int, Any]:
        """Set it."""
        return 200, MembershipSerializer(services.set_group_role(actor_id=caller_id, **body)).data


class SendMessageToGroupView(SendView):
    """Write to a group that you are a member of.

    With a `client_id` the request may be repeated as often as you like: the message is sent once.
    """

    serializer_class = SendMessageToGroupSerializer
    target = "group_id"
    sample = {"group_id": GROUP, "text": "Hello, all!", "client_id": "my-first-message"}

    @extend_schema(
        operation_id="send_message_to_group",
        responses={
            201: MessageSerializer,
            200: OpenApiResponse(MessageSerializer, "This client_id had been sent before."),
            403: refusal(Frozen),
            404: NO_MEMBER,
            409: refusal(ClientIdTaken),
        },
    )
    def post(self, request: Request) -> Response:
        """Write to a group."""
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
        return services.send_message_to_group(
            sender_id=sender_id, group_id=target_id, text=text, client_id=client_id
        )


class GroupViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Any]):
    """The groups that you are a member of, the latest created first."""

    serializer_class = GroupSerializer
    queryset = Chat.objects.none()
    ordering = "-number"

    def get_queryset(self) -> QuerySet[Any]:
        """Return the caller's groups."""
        return selectors.groups_of(caller_id(self.request))

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """Return the serializer of groups, given chats."""
        if args and isinstance(args[0], list):
            args = ([selectors.shown(chat) for chat in args[0]], *args[1:])
        return super().get_serializer(*args, **kwargs)

    @extend_schema(responses={200: GroupSerializer})
    def retrieve(self, request: Request, pk: str) -> Response:
        """Return one group that you are in, or have been in, then as it was when you left."""
        group = selectors.group_seen_by(self._id(pk), caller_id(request))
        return Response(GroupSerializer(group).data)

    @extend_schema(responses={200: MembershipSerializer(many=True)})
    @action(detail=True)
    def members(self, request: Request, pk: str) -> Response:
        """Return a group's members, the longest-standing first; for its members alone."""
        members = selectors.members_of(self._id(pk), seen_by=caller_id(request))
        self.ordering = "id"
        page = self.paginate_queryset(members) or []
        return self.get_paginated_response(
            MembershipSerializer(
                [
                    services.Member(member.chat_id, member.user_id, member.role, member.joined_at)
                    for member in page
                ],
                many=True,
            ).data
        )

    def _id(self, text: str) -> UUID:
        id_ = parse_id(text)
        if id_ is None:
            raise NotFound
        return id_
