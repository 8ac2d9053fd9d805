"""A bad network between us and the real S3 server: requests go through it and may come to harm."""

import http.client
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from django.conf import settings

Harm = Callable[[str, str], str | None]
"""Gets method and path, returns the harm to do to it, or None.

`slow down`, `error`, `full` answer as servers in that state do, `half an error` breaks off in that;
`plain` knows no conditional writes;
`drop` closes the connection, `break` does in the middle of the request's body, `cut` in that of the
answer's; `flip` changes a bit of the answer, `garble` one of the request; `slow` delays it.
"""

_SLOW_DOWN = (
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
_ERROR = b"<Error><Code>InternalError</Code><Message>We did something wrong.</Message></Error>"
_FULL = b"<Error><Code>InsufficientStorage</Code><Message>No space left.</Message></Error>"
_NOT_IMPLEMENTED = (
    b"<Error><Code>NotImplemented</Code><Message>A header implies functionality that is not"
    b" implemented.</Message></Error>"
)
SLOW_SECONDS = 0.4
_ANSWERS: dict[str | None, tuple[int, bytes]] = {
    "slow down": (503, _SLOW_DOWN),
    "error": (500, _ERROR),
    "full": (507, _FULL),
}


@contextmanager
def bad_network(harm: Harm, *, certificate: Path | None = None) -> Iterator[str]:
    """Yield the address of an S3 server that behaves as `harm` says, over TLS with a certificate."""
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0),
        type(
            "Harmful",
            (_Handler,),
            {
                "harm": staticmethod(harm),
                "upstream": urlsplit(settings.S3_ENDPOINT_URL).netloc,
            },
        ),
    )
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        scheme = "http" if certificate is None else "https"
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _changed(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    harm: ClassVar[Harm]
    upstream: ClassVar[str]

    def _pass_on(self) -> None:
        done = type(self).harm(self.command, self.path)
        size = int(self.headers.get("Content-Length") or 0)
        if done == "break":
            self.rfile.read(size // 2)
            self.close_connection = True
            return
        body = self.rfile.read(size)
        if done == "slow":
            time.sleep(SLOW_SECONDS)
        if done == "garble" and body:
            body = _changed(body)
        if done == "plain" and {"If-None-Match", "If-Match"} & set(self.headers):
            self._answer(501, _NOT_IMPLEMENTED)
        elif done in _ANSWERS:
            self._answer(*_ANSWERS[done])
        elif done == "half an error":
            self._answer(500, _ERROR, cut=True)
        elif done == "drop":
            self.close_connection = True
        else:
            self._forward(body, done)

    def _forward(self, body: bytes, done: str | None) -> None:
        server = http.client.HTTPConnection(self.upstream, timeout=30)
        # The signature is over the Host that the client named, so it stays.
        server.request(self.command, self.path, body, dict(self.headers.items()))
        found = server.getresponse()
        data = found.read()
        if done == "flip" and data:
            data = _changed(data)
        self.send_response(found.status)
        for name, value in found.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", found.getheader("Content-Length") or str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if done == "cut" else data)
        self.close_connection = done == "cut"
        server.close()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815

    def _answer(self, status: int, body: bytes, *, cut: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            # A reset, once what was sent has been read.
            time.sleep(0.05)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Say nothing."""
