"""How a request's body is read: strict JSON, never more of it than the limit."""

from collections.abc import Mapping
from typing import IO, Any, NoReturn

import orjson
from django.conf import settings
from rest_framework import parsers
from rest_framework.exceptions import ParseError, UnsupportedMediaType

from common.errors import BodyTooLarge
from common.renderers import JSONRenderer

READ_BYTES = 65536
VALUES_MAX = 10_000
CSRF_FIELD = "csrfmiddlewaretoken"
RAW_FIELD = "_json"
"""The field of a page's form that holds a whole body as JSON."""


def loads_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that a body holds; an empty body is an empty object.

    Strict: UTF-8, no NaN, no lone surrogates. Raises ParseError (a 400) for anything else.
    """
    if not body:
        return {}
    if is_crowded(body):
        raise ParseError("The body holds too many values. Send fewer at once.")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # orjson's sentence names the fault and its place; it never quotes the body.
        raise ParseError(f"The body is not valid JSON in UTF-8: {error}.") from error
    if not isinstance(value, dict):
        raise ParseError('The body must be a JSON object, such as {"text": "hello"}.')
    return value


def is_crowded(body: bytes) -> bool:
    """Say whether JSON holds many more values than any route takes: each takes time and memory."""
    most: int = VALUES_MAX + settings.GROUP_MAX_MEMBERS + settings.MESSAGE_MAX_CHARS
    return len(body) > most and sum(map(body.count, (b"[", b"{", b",", b":"))) > most


def refuse_large(declared: str | int | None) -> None:
    """Raise BodyTooLarge (a 413) when a Content-Length says more than is read here."""
    try:
        length = int(declared or 0)
    except ValueError:
        length = 0
    if length > settings.BODY_MAX_BYTES:
        _too_large()


def read_limited(stream: IO[bytes]) -> bytes:
    """Read a body to its end; raise BodyTooLarge (a 413) as soon as it passes the limit."""
    chunks: list[bytes] = []
    size = 0
    # A stream may give less than is asked for before its end.
    while chunk := stream.read(min(READ_BYTES, settings.BODY_MAX_BYTES + 1 - size)):
        chunks.append(chunk)
        size += len(chunk)
        if size > settings.BODY_MAX_BYTES:
            _too_large()
    return b"".join(chunks)


def _too_large() -> NoReturn:
    raise BodyTooLarge(
        f"The body is larger than {settings.BODY_MAX_BYTES} bytes. Send less at once."
    )


def _declared_length(context: Mapping[str, Any] | None) -> str | None:
    request = (context or {}).get("request")
    return request.META.get("CONTENT_LENGTH") if request is not None else None


class JSONParser(parsers.BaseParser):
    """A JSON object in UTF-8."""

    media_type = "application/json"
    # The browsable API writes the sample in its raw form with this.
    renderer_class = JSONRenderer

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the body's object, or raise a 400 or 413."""
        refuse_large(_declared_length(parser_context))
        return loads_object(read_limited(stream))


class _BrowserOnly:
    """Forms are for the browsable API's pages; to any other client the API speaks JSON alone."""

    media_type: str

    def check(self, context: Mapping[str, Any] | None) -> None:
        request = (context or {}).get("request")
        renderer = getattr(request, "accepted_renderer", None)
        if getattr(renderer, "format", "") != "api":
            raise UnsupportedMediaType(
                self.media_type,
                "Send JSON: the body as a JSON object, with Content-Type: application/json.",
            )
        refuse_large(_declared_length(context))


class BrowserFormParser(_BrowserOnly, parsers.FormParser):
    """A form that a browser sends url-encoded."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the form's fields, or its JSON where it is the raw form; or raise a 413 or 415.

        A field left empty is one not given. Line ends are what was typed, not the CR LF that a
        browser makes of them.
        """
        self.check(parser_context)
        form = super().parse(stream, media_type, parser_context).copy()
        raw = form.get(RAW_FIELD)
        if raw is not None:
            # The page shows it again, and the check against forged requests looks for its token.
            (parser_context or {})["request"].raw_body = raw
            return loads_object(raw.encode()) | {CSRF_FIELD: form.get(CSRF_FIELD, "")}
        for name, values in list(form.lists()):
            if any(values):
                form.setlist(name, [value.replace("\r\n", "\n") for value in values])
            else:
                del form[name]
        return form
