"""What stands between the web server and Django."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from io import BytesIO
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from common.errors import BodyTooLarge
from common.parsers import READ_BYTES, read_limited

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def finish_body(request: HttpRequest, response: HttpResponseBase) -> None:
    """Leave the connection fit for the next request, or say that it ends with this answer.

    The server closes one on which a part of a body is left, and says nothing: a client, or a proxy,
    that sends its next request on it would get no answer to that.
    """
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length == "0":
        return
    if length.isdecimal() and int(length) <= settings.BODY_MAX_BYTES:
        with suppress(OSError):
            while request.read(READ_BYTES):
                pass
    else:
        response.headers["Connection"] = "close"


class ChunkedBodies:
    """Reads a body that comes without a Content-Length, which Django takes for an empty one."""

    def __init__(self, application: Application) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request, its body in one piece."""
        # The server says so when the input ends by itself; else reading on would wait for ever.
        if (
            "HTTP_TRANSFER_ENCODING" in environ
            and not environ.get("CONTENT_LENGTH")
            and environ.get("wsgi.input_terminated")
        ):
            self._read(environ)
        return self.application(environ, start_response)

    def _read(self, environ: dict[str, Any]) -> None:
        try:
            body = read_limited(environ["wsgi.input"])
        except BodyTooLarge:
            # Routes refuse a body by the length it claims, before they read it.
            environ["wsgi.input"] = BytesIO()
            environ["CONTENT_LENGTH"] = str(settings.BODY_MAX_BYTES + 1)
        else:
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = BytesIO(body), str(len(body))
