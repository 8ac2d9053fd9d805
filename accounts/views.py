"""The routes of accounts."""

from typing import Any
from uuid import UUID

from django.contrib.auth import logout as end_session
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import selectors, services, tokens
from accounts.guessing import count_registration, guarded
from accounts.models import Block, User
from accounts.serializers import (
    AdmissionSerializer,
    BlockSerializer,
    LoginSerializer,
    NothingSerializer,
    RegisterSerializer,
    UserIdSerializer,
    UserSerializer,
)
from common.bulkheads import bulkheads
from common.errors import DatabaseUnavailable, NotFound
from common.ids import parse_id
from common.limits import NotCounted, Throttled
from common.quick import Quick
from common.samples import BOB
from common.schema import refusal
from common.views import Reconnecting, Verb, caller_id


def admission(admitted: services.Admission) -> dict[str, Any]:
    """Return the answer to whoever has come in."""
    return {**UserSerializer(admitted.user).data, "token": admitted.token}


class OpenVerb(Verb):
    """A verb for whoever has no token yet; one that is sent is not looked at."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    # Counted where it is known whether they failed.
    limit = None


@extend_schema_view(
    post=extend_schema(
        responses={
            201: AdmissionSerializer,
            409: refusal(services.UsernameTaken),
            429: refusal(Throttled),
            503: refusal(NotCounted, DatabaseUnavailable),
        },
    )
)
class RegisterView(OpenVerb):
    """Create an account; the answer holds its first token."""

    serializer_class = RegisterSerializer
    sample = {"username": "ada", "password": "a long sentence", "display_name": "Ada"}  # nosec B105 # the documentation's sample, of nobody

    def perform(self, caller_id: UUID, body: dict[str, Any]) -> tuple[int, Any]:
        """Register."""
        count_registration(self.request.META)
        return status.HTTP_201_CREATED, admission(services.register(**body))


@extend_schema_view(
    post=extend_schema(
        responses={
            200: AdmissionSerializer,
            401: refusal(services.WrongCredentials),
            429: refusal(Throttled),
            503: refusal(NotCounted, DatabaseUnavailable),
        },
    )
)
class LoginView(Quick, OpenVerb):
    """Get a new token for a username and a password. Tokens issued before stay valid.

    A user has 100 at most: one more ends the one that was used longest ago.
    """

    serializer_class = LoginSerializer
    sample = {"username": "ada", "password": "a long sentence"}  # nosec B105 # the documentation's sample, of nobody

    def refuse_early(self, meta: dict[str, Any], header: str | None) -> None:
        """Refuse at once while others hash: to find out who somebody is costs more than a poll."""
        bulkheads.refuse_if_full("hashing")

    def get_authenticate_header(self, request: Request) -> str:
        """Make refused credentials a 401, though this view authenticates nobody."""
        return "Bearer"

    def perform(self, caller_id: UUID, body: dict[str, Any]) -> tuple[int, Any]:
        """Log in."""
        with guarded(body["username"], self.request.META, services.WrongCredentials):
            return status.HTTP_200_OK, admission(services.login(**body))


class LogoutView(Verb):
    """Revoke the token that this request is sent with; in a browser, end the session."""

    serializer_class = NothingSerializer

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """Revoke this token."""
        if isinstance(request.auth, str):
            services.logout(digest=tokens.digest(request.auth))
        else:
            end_session(request._request)  # noqa: SLF001 - DRF has no other way to it
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema_view(
    post=extend_schema(
        responses={
            201: BlockSerializer,
            200: OpenApiResponse(BlockSerializer, description="It stood already."),
            400: refusal(services.SelfBlock, invalid=True),
            404: refusal(NotFound, about="No such user."),
        },
    )
)
class BlockUserView(Verb):
    """Block a user: they can't write to you in private or put you in a group."""

    serializer_class = UserIdSerializer
    sample = {"user_id": BOB}

    def perform(self, caller_id: UUID, body: dict[str, Any]) -> tuple[int, Any]:
        """Block."""
        block, created = services.block_user(blocker_id=caller_id, blocked_id=body["user_id"])
        code = status.HTTP_201_CREATED if created else status.HTTP_200_OK
        return code, BlockSerializer(block).data


@extend_schema_view(
    post=extend_schema(
        responses={204: None, 404: refusal(services.NoSuchBlock)},
    )
)
class UnblockUserView(Verb):
    """Lift a block."""

    serializer_class = UserIdSerializer
    sample = {"user_id": BOB}

    def perform(self, caller_id: UUID, body: dict[str, Any]) -> tuple[int, Any]:
        """Unblock."""
        services.unblock_user(blocker_id=caller_id, blocked_id=body["user_id"])
        return status.HTTP_204_NO_CONTENT, None


class UserViewSet(Reconnecting, viewsets.GenericViewSet[User]):
    """Any user may look another up by id; none can list them."""

    serializer_class = UserSerializer
    queryset = User.objects.all()

    def get_object(self) -> User:
        """Return the user that the path names."""
        user_id = parse_id(self.kwargs["pk"])
        if user_id is None:
            raise NotFound("There is no user by that id.")
        return selectors.user_by_id(user_id)

    def retrieve(self, request: Request, pk: str) -> Response:
        """Return one user."""
        return Response(self.get_serializer(self.get_object()).data)

    @action(detail=False)
    def me(self, request: Request) -> Response:
        """Return the caller."""
        return Response(self.get_serializer(selectors.user_by_id(caller_id(request))).data)


class BlockViewSet(Reconnecting, mixins.ListModelMixin, viewsets.GenericViewSet[Block]):
    """Whom the caller blocks, newest first."""

    serializer_class = BlockSerializer
    queryset = Block.objects.none()
    # Ids are given in the order of creation and are unique, which times need not be.
    ordering = "-id"

    def get_queryset(self) -> QuerySet[Block]:
        """Return the caller's own blocks."""
        return selectors.blocks_of(caller_id(self.request))
