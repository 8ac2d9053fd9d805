"""What stands between the web server and Django."""

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from django.conf import settings

from common.errors import BodyTooLarge
from common.parsers import read_limited

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


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
