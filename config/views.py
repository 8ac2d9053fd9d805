"""What belongs to no room: the start page, the API's description, and what machines watch."""

from __future__ import annotations

import inspect
import threading
from dataclasses import dataclass, field
from functools import lru_cache
from time import monotonic
from typing import Any

from django.http import HttpResponse
from django.urls import Resolver404, resolve
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema, inline_serializer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.browsable import BrowsableAPIRenderer
from common.errors import RETRY_AFTER_SECONDS
from common.limits import is_free
from common.renderers import JSONRenderer
from config import access, health, metrics
from config.serializers import NotReadySerializer, ReadinessSerializer

VERBS = (
    "/register",
    "/send_message",
    "/block_user",
    "/create_group",
    "/add_user_to_group",
    "/remove_user_from_group",
    "/send_message_to_group",
    "/get_messages",
)
MORE_VERBS = (
    "/login",
    "/logout",
    "/unblock_user",
    "/set_group_role",
    "/export",
    "/report_message",
    "/report_user",
)
READS = (
    ("me", "/users/me/"),
    ("user", "/users/{id}/"),
    ("chats", "/chats/"),
    ("chat", "/chats/{id}/"),
    ("messages", "/chats/{id}/messages/"),
    ("groups", "/groups/"),
    ("group", "/groups/{id}/"),
    ("members", "/groups/{id}/members/"),
    ("blocks", "/blocks/"),
    ("archive", "/archive/"),
    ("exports", "/exports/"),
    ("reports", "/reports/"),
)
PAGES = ("/docs/", "/schema/", "/admin/", "/healthz", "/readyz", "/metrics")
SOME_ID = "01980f3e-7b1c-7c3a-9d55-0123456789ab"


@dataclass(frozen=True, slots=True)
class Route:
    """A route as the start page shows it."""

    name: str
    path: str
    text: str = field(default="")

    @property
    def link(self) -> bool:
        """Whether the path leads somewhere as it stands."""
        return "{" not in self.path


def described(name: str, path: str) -> Route | None:
    """Return a route with the first sentence of what its view says, None where there is none."""
    try:
        view: Any = resolve(path.replace("{id}", SOME_ID)).func
    except Resolver404:
        return None
    owner = getattr(view, "cls", None)
    if owner is None:
        return None
    # A viewset's own description is that of its list; its other actions say it themselves.
    action = getattr(view, "actions", {}).get("get", "list")
    about = owner if action == "list" else getattr(owner, action)
    text = (inspect.getdoc(about) or "").partition("\n\n")[0].replace("\n", " ")
    text = text.removeprefix("Return ")
    return Route(name, path, text[:1].upper() + text[1:])


@lru_cache(8)
def routes_of(paths: tuple[tuple[str, str], ...]) -> list[Route]:
    """Return the routes among these that there are."""
    return [route for name, path in paths if (route := described(name, path)) is not None]


class JSONAlways(BaseContentNegotiation):
    """For what only machines read: JSON, whatever the request would accept."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """Return the only parser."""
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[Any, str]:
        """Return JSON."""
        return renderers[0], JSONRenderer.media_type


class OpenView(APIView):
    """For everybody; a token that is sent is not looked at, so that nothing has to be asked."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    asks_nothing = True


class StartRenderer(BrowsableAPIRenderer):
    """The start page."""

    template = "common/root.html"

    def page(self, data: Any, view: Any, request: Any, response: Any) -> dict[str, Any]:
        """Add the routes to the page."""
        page = super().page(data, view, request, response)
        if response.status_code >= 400:  # noqa: PLR2004
            self.template = BrowsableAPIRenderer.template
            return page
        origin = request.build_absolute_uri("/").rstrip("/")
        return page | {
            "verbs": routes_of(tuple((path, path) for path in VERBS)),
            "more": routes_of(tuple((path, path) for path in MORE_VERBS)),
            "reads": routes_of(READS),
            "pages": [Route(path, path) for path in PAGES],
            "start": (
                f"curl {origin}/register -H 'Content-Type: application/json' \\\n"
                """  -d '{"username": "ada"}'\n\n"""
                f'curl {origin}/users/me/ -H "Authorization: Bearer $TOKEN"'
            ),
        }


class RootView(OpenView):
    """Every route of the API, by name."""

    renderer_classes = (JSONRenderer, StartRenderer)

    @extend_schema(
        operation_id="routes",
        responses={
            200: OpenApiResponse(
                OpenApiTypes.OBJECT,
                "The URL of each route, by name.",
                examples=[
                    OpenApiExample(
                        "sample",
                        {
                            "register": "https://chat.example/register",
                            "chat": "https://chat.example/chats/{id}/",
                        },
                    )
                ],
            )
        },
    )
    def get(self, request: Request) -> Response:
        """Return the URL of each route; `{id}` in one stands for an id."""
        origin = request.build_absolute_uri("/").rstrip("/")
        named = [(path.strip("/"), path) for path in (*VERBS, *MORE_VERBS)]
        named += [(route.name, route.path) for route in routes_of(READS)]
        named += [(path.strip("/"), path) for path in PAGES]
        return Response({name: origin + path for name, path in named})


class MachineView(OpenView):
    """What probes and scrapers ask."""

    renderer_classes = (JSONRenderer,)
    content_negotiation_class = JSONAlways
    read_limit = None


class LivenessView(MachineView):
    """Whether this process answers."""

    @extend_schema(
        operation_id="healthz",
        responses=OpenApiResponse(
            inline_serializer("Liveness", {"status": serializers.CharField(help_text="`ok`")}),
            examples=[OpenApiExample("sample", {"status": "ok"})],
        ),
    )
    def get(self, request: Request) -> Response:
        """Say that this process lives. No dependency is asked."""
        return Response({"status": "ok"})


class ReadinessView(MachineView):
    """Whether this process can work."""

    @extend_schema(
        operation_id="readyz",
        responses={
            200: OpenApiResponse(
                ReadinessSerializer,
                examples=[
                    OpenApiExample(
                        "sample",
                        {
                            "status": "degraded",
                            "dependencies": {
                                "database": {"state": "ok", "latency_ms": 0.4},
                                "cache": {"state": "degraded", "detail": "It refuses connections."},
                            },
                            "processes": {"sweeper": {"state": "ok", "age_seconds": 1.2}},
                        },
                    )
                ],
            ),
            503: OpenApiResponse(
                NotReadySerializer,
                "The database is away; beside the states one error for each that is, `attr` names "
                "it.",
            ),
        },
    )
    def get(self, request: Request) -> Response:
        """Say in which state each dependency is.

        Without the cache, the object store or the sweeper the service is slower, never wrong:
        `degraded`, and ready all the same. Without the database it is not ready.
        """
        found = health.readiness()
        away = {name: state for name, state in found.items() if state["state"] != "ok"}
        status = "degraded" if away else "ok"
        data: dict[str, Any] = {
            "status": status,
            "dependencies": found,
            "processes": health.processes(),
        }
        if "database" not in away:
            return Response(data)
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        errors = [
            {"code": state["state"], "detail": state["detail"], "attr": name}
            for name, state in away.items()
        ]
        data |= {"status": "unavailable", "type": "server_error", "errors": errors}
        return Response(data, status=503, headers=headers)


@lru_cache(1)
def _metrics_of(second: int) -> bytes:
    """Return the figures, made once in a second however many strangers ask: it takes 20 ms."""
    return metrics.text()


class MetricsView(MachineView):
    """Figures for Prometheus."""

    @extend_schema(operation_id="metrics", responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request) -> HttpResponse:
        """Return the figures in Prometheus' text format, of all web workers together.

        Open to everybody, until METRICS_TOKEN or METRICS_ALLOWED says for whom they are.
        """
        access.check_scraper(request)
        return HttpResponse(
            metrics.text() if is_free(request.META) else _metrics_of(int(monotonic())),
            content_type="text/plain; version=0.0.4; charset=utf-8",
        )

    def get_authenticate_header(self, request: Request) -> str:
        """Return what makes a missing token a 401."""
        return "Bearer"


class _ErrorsInJSON(OpenView):
    """For what answers other than JSON: its errors are JSON nevertheless."""

    # It would describe itself in whatever it answers in.
    metadata_class = None

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(response, "exception", False):
            request.accepted_renderer = JSONRenderer()
            request.accepted_media_type = JSONRenderer.media_type
        return super().finalize_response(request, response, *args, **kwargs)


def document(media_type: str) -> bytes:
    """Return the OpenAPI document in one form."""
    with _making:
        return _document(media_type)


_making = threading.Lock()


@lru_cache(8)
def _document(media_type: str) -> bytes:
    generator = SpectacularAPIView.generator_class()
    schema = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    renderer = next(one for one in SchemaView.renderer_classes if one.media_type == media_type)
    made: str | bytes = renderer().render(schema, media_type, {})
    return made if isinstance(made, bytes) else made.encode()


class SchemaView(_ErrorsInJSON, SpectacularAPIView):
    """The OpenAPI document: JSON, or YAML to who asks for it."""

    renderer_classes = [
        OpenApiJsonRenderer2,
        OpenApiJsonRenderer,
        OpenApiYamlRenderer,
        OpenApiYamlRenderer2,
    ]

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        """Return the document, which each process makes once in each form: it takes 80 ms."""
        renderer = request.accepted_renderer
        charset = f"; charset={renderer.charset}" if renderer.charset else ""
        return HttpResponse(
            document(renderer.media_type),
            content_type=f"{renderer.media_type}{charset}",
            headers={"Content-Disposition": f'inline; filename="Strata.{renderer.format}"'},
        )


class DocsView(_ErrorsInJSON, SpectacularSwaggerSplitView):
    """The OpenAPI document as pages to read and try; their script is a file of its own."""

    template_name = "common/docs.html"
