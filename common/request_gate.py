"""What every request is checked for before Django sees it: its head's lengths and its body.

Whatever Django, DRF and their parsers do with a header or a body takes time in proportion to it at
best, so what is too long is refused here, where it costs nothing. The body is read here, whole or
not at all: a body that ends before it should is a 400, and nothing is done.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from django.conf import settings

from common.errors import (
    BodyIncomplete,
    BodyTooLarge,
    HeadTooLarge,
    LengthRequired,
    MethodUnknown,
    Refusal,
    UnsupportedBody,
    UriTooLong,
)
from common.parsers import READ_BYTES

REFUSED = "strata.refused"
"""Where a request's environment has the refusal that it is to be answered with."""
BODY = "strata.body"
"""Where it has the body, read."""

PATH_MAX_CHARS = 2048
QUERY_MAX_CHARS = 8192
ADMIN_QUERY_MAX_CHARS = 1024
"""The same of the admin's pages, which repeat it in each of their links; its login page does not,
and says where to go on with the query of another page."""
HEADER_MAX_CHARS = 8192
METHOD_MAX_CHARS = 32
TYPE_MAX_CHARS = 200
ACCEPT_MAX_CHARS = 500
ACCEPT_MAX_TYPES = 30
FORM_MAX_BYTES = 52 * 1024
"""The longest form of a page: the longest text of a message, percent-encoded, and some more."""
OPEN_FORM_MAX_BYTES = 16 * 1024
"""The same where nobody has logged in yet, and of the admin, which reads a form before it looks."""
OPEN_FORMS = ("/admin/", "/browse/", "/register", "/login")

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
USUAL_TYPES = frozenset({"", JSON, FORM, f"{JSON}; charset=utf-8", f"{JSON};charset=utf-8"})
UTF_8 = frozenset({"utf-8", "utf8"})


def check(environ: dict[str, Any]) -> None:
    """Read a request's body and note in its environment what is wrong with the request, if any."""
    accept = environ.get("HTTP_ACCEPT")
    if accept is not None and len(accept) > ACCEPT_MAX_TYPES:
        _bound_accept(environ, accept)
    try:
        _read_body(environ)
        _check_head(environ)
        if environ.get("CONTENT_TYPE", "") not in USUAL_TYPES:
            _check_type(environ["CONTENT_TYPE"])
        if "HTTP_CONTENT_ENCODING" in environ:
            _check_encoding(environ["HTTP_CONTENT_ENCODING"])
    except Refusal as refused:
        if BODY not in environ:
            # What is left of it would be taken for the next request.
            refused.headers = {"Connection": "close"}
        environ |= {REFUSED: refused, BODY: b"", "wsgi.input": BytesIO()}
        environ |= {"CONTENT_TYPE": "", "CONTENT_LENGTH": "0"}


def _bound_accept(environ: dict[str, Any], accept: str) -> None:
    """Take whoever accepts very many types for somebody who accepts any."""
    if len(accept) > ACCEPT_MAX_CHARS or accept.count(",") >= ACCEPT_MAX_TYPES:
        environ["HTTP_ACCEPT"] = "*/*"


def _check_head(environ: dict[str, Any]) -> None:
    """Refuse a path, query, method or header that is too long, and forget it."""
    path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
    if (
        len(path) > PATH_MAX_CHARS
        or len(query) > QUERY_MAX_CHARS
        or (
            len(query) > ADMIN_QUERY_MAX_CHARS
            and path.startswith("/admin/")
            and path != "/admin/login/"
        )
    ):
        environ["PATH_INFO"] = environ["PATH_INFO"][:PATH_MAX_CHARS]
        environ["QUERY_STRING"] = ""
        raise UriTooLong
    if len(environ["REQUEST_METHOD"]) > METHOD_MAX_CHARS:
        environ["REQUEST_METHOD"] = "UNKNOWN"
        raise MethodUnknown
    for name in ("HTTP_COOKIE", "HTTP_AUTHORIZATION", "HTTP_HOST"):
        if len(environ.get(name, "")) > HEADER_MAX_CHARS:
            environ[name] = "" if name != "HTTP_HOST" else "localhost"
            raise HeadTooLarge


def _read_body(environ: dict[str, Any]) -> None:
    """Read the body that the head announces; refuse one that is too large or ends before."""
    if "HTTP_TRANSFER_ENCODING" in environ:
        # The web server says of none whether it came to its end; nginx does, and hands on a length.
        # What is left unread would end the connection before the answer is through.
        _read(environ["wsgi.input"], settings.BODY_MAX_BYTES)
        raise LengthRequired
    declared = environ.get("CONTENT_LENGTH") or "0"
    if declared == "0":
        environ[BODY] = b""
        return
    if not declared.isdecimal() or len(declared) > len(str(settings.BODY_MAX_BYTES)):
        raise BodyTooLarge if declared.isdecimal() else LengthRequired
    length = int(declared)
    if length > _limit(environ):
        raise BodyTooLarge(f"The body is larger than {_limit(environ)} bytes. Send less at once.")
    body = _read(environ["wsgi.input"], length)
    if len(body) < length:
        raise BodyIncomplete
    environ[BODY] = body
    environ["wsgi.input"] = BytesIO(body)


def _limit(environ: dict[str, Any]) -> int:
    """Return how long the body of a request may be."""
    most: int = settings.BODY_MAX_BYTES
    if environ.get("CONTENT_TYPE", "").lower().startswith(FORM):
        is_open = environ["PATH_INFO"].startswith(OPEN_FORMS)
        return min(most, OPEN_FORM_MAX_BYTES if is_open else FORM_MAX_BYTES)
    return most


def _read(stream: Any, length: int) -> bytes:
    """Read so many bytes, fewer where the stream ends before."""
    body: bytes = stream.read(min(length, READ_BYTES))
    if len(body) == length:
        return body
    pieces, size = [body], len(body)
    # A stream may give less than is asked for before its end.
    while size < length and (piece := stream.read(min(length - size, READ_BYTES))):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _check_type(content_type: str) -> None:
    """Refuse what is not UTF-8, before Django looks a charset up and decodes with it."""
    if len(content_type) > TYPE_MAX_CHARS:
        raise UnsupportedBody("The Content-Type is too long. Send JSON in UTF-8.")
    kind, *parameters = content_type.lower().split(";")
    if kind.strip().startswith("multipart/"):
        raise UnsupportedBody(
            "Forms in parts are not taken here. Send JSON, or a form that is url-encoded."
        )
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        # `charset*` and `charset*0` are the same by RFC 2231.
        if name.strip().partition("*")[0] == "charset" and (
            "*" in name or value.strip().strip("\"'") not in UTF_8
        ):
            raise UnsupportedBody("The body must be in UTF-8.")


def _check_encoding(encoding: str) -> None:
    """Refuse a body that is compressed: it would not be what its length says."""
    if encoding.strip().lower() not in {"", "identity"}:
        raise UnsupportedBody("A compressed body is not taken. Send it without Content-Encoding.")
