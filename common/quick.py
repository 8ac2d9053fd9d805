"""The short way through a route that is called often: no negotiation, no serializer, no session.

A request that is plain (a bearer token, no wish for HTML) and certainly right is answered here.
Whatever is not, in any way, is left to DRF's way, which is the reference: `quick` does nothing
before it declines. Refusals look the same either way, by the same handler.
"""

from typing import Any
from uuid import UUID

import orjson
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.views import APIView

from common.error_shape import exception_handler, plain_refusal
from common.ids import parse_id

JSON = "application/json"
PLAIN_MAX_BYTES = 64 * 1024


def _let_pass(header: str | None) -> None:
    """Refuse nothing."""


def takes_json(accept: str) -> bool:
    """Say whether an Accept header takes JSON and does not ask for HTML."""
    return accept == "*/*" or ("html" not in accept and (JSON in accept or "*/*" in accept))


def json_response(
    body: bytes, status: int = 200, headers: dict[str, str] | None = None
) -> HttpResponse:
    """Return JSON that is ready as an answer."""
    return HttpResponse(body, content_type=JSON, status=status, headers=headers)


class Quick(APIView):
    """A view with a short way: `quick` answers, or returns None to leave it to DRF."""

    quick_method = "POST"

    def quick(self, request: HttpRequest, token: str, **path: Any) -> HttpResponse | None:
        """Answer a plain request, or decline it before anything is done."""
        return None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Try the short way, then DRF's."""
        meta = request.META
        if request.method == self.quick_method and takes_json(meta.get("HTTP_ACCEPT", "*/*")):
            header = meta.get("HTTP_AUTHORIZATION")
            try:
                if header is not None and header.startswith("Bearer "):
                    answer = self.quick(request, header[7:], **kwargs)
                else:
                    answer = None
                if answer is None:
                    self.refuse_early(meta, header)
            except Exception as error:  # noqa: BLE001 the handler reports what is no refusal
                answer = self.refuse(error, request)
            if answer is not None:
                return answer
        return super().dispatch(request, *args, **kwargs)

    def refuse_early(self, meta: dict[str, Any], header: str | None) -> None:
        """Refuse who can't be anybody, before DRF's way is gone."""
        if header is not None or not meta.get("HTTP_COOKIE"):
            for way in self.authentication_classes:
                getattr(way, "refuse_early", _let_pass)(header)

    def refuse(self, error: Exception, request: HttpRequest) -> HttpResponse:
        """Return the answer that DRF's way gives to an exception."""
        answer = plain_refusal(error)
        if answer is not None:
            return answer
        response = exception_handler(error, {"view": self, "request": request})
        if response is None:
            raise error
        headers = {name: str(value) for name, value in response.headers.items()}
        headers.pop("Content-Type", None)
        return json_response(orjson.dumps(response.data), response.status_code, headers)


def is_json(request: HttpRequest) -> bool:
    """Say whether a body claims to be JSON."""
    return bool(request.META.get("CONTENT_TYPE", "").startswith(JSON))


def plain_body(request: HttpRequest) -> dict[str, Any] | None:
    """Return the JSON object in a plain body of known and allowed length, else None."""
    meta = request.META
    if not meta.get("CONTENT_TYPE", "").startswith(JSON):
        return None
    length = meta.get("CONTENT_LENGTH") or "0"
    # DRF's way reads a longer one, after it has found out who sends it.
    if not length.isdecimal() or not 0 < int(length) <= PLAIN_MAX_BYTES:
        return None
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return None
    return body if type(body) is dict else None


def plain_id(value: Any) -> UUID | None:
    """Return the UUID in a JSON string, None when it is none."""
    return parse_id(value) if type(value) is str else None
