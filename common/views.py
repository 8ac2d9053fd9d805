"""The base of the routes that do something: `POST` a JSON object, get a JSON object."""

from typing import Any, cast
from uuid import UUID

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.database import drop_dead_connection


def caller_id(request: Request) -> UUID:
    """Return who sends the request, without fetching them; None on a route open to all."""
    return cast(UUID, request.user.pk)


class Reconnecting(APIView):
    """A view that a restart of the database costs no answer."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Begin on a connection that the database has not closed meanwhile."""
        drop_dead_connection()
        super().initial(request, *args, **kwargs)


class Verb(Reconnecting, GenericAPIView[Any]):
    """One verb of the contract. A subclass names its input serializer and says what is done.

    In a browser, `GET` shows what to send and a form to send it with; for any other client it is
    a 405.
    """

    http_method_names = ["post", "get", "head", "options"]
    # A body that can be sent after small changes, for the raw form and the schema page.
    sample: dict[str, Any] = {}

    def perform(self, caller_id: UUID, body: dict[str, Any]) -> tuple[int, Any]:
        """Do it and return the status and the answer; a subclass calls one service here."""
        raise TypeError(f"{type(self).__name__} does nothing yet")

    def post(self, request: Request) -> Response:
        """Check the body's shape, do it, answer."""
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        status, answer = self.perform(caller_id(request), body.validated_data)
        return Response(answer, status=status)

    def get(self, request: Request) -> Response:
        """Show a person in a browser what to send; refuse everybody else."""
        if not self._shows_page(request):
            raise MethodNotAllowed(request.method or "GET")
        return Response()

    def get_permissions(self) -> Any:
        """Let everybody read the page that says what to send."""
        return [] if self._shows_page(self.request) else super().get_permissions()

    def _shows_page(self, request: Request | None) -> bool:
        # None while the OpenAPI document is made.
        return (
            request is not None
            and request.method in {"GET", "HEAD"}
            and getattr(getattr(request, "accepted_renderer", None), "format", "") == "api"
        )

    @property
    def allowed_methods(self) -> list[str]:
        """What the `Allow` header says: the page for browsers is no method of the API."""
        return ["POST", "OPTIONS"]
