"""What stands between clients whose clock is months back and an S3 server that knows the date.

A request's signature holds its time, and a server refuses one that is more than some minutes
off. The gateway signs what passes through it again, with the true time; all else it leaves as it
is. (AWS Signature Version 4: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html)
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/s3/aws4_request, ?"
    r"SignedHeaders=([^,]+), ?Signature=[0-9a-f]{64}"
)
# What concerns one connection, not the request.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect"}


class Gateway:
    """An S3 endpoint in front of another; `stop` takes it away, `start` brings it back."""

    def __init__(self, port: int, upstream: str, secret: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._upstream = urlsplit(upstream).netloc
        self._secret = secret
        self._server: ThreadingHTTPServer | None = None
        self.asked: list[tuple[str, str]] = []
        """Method and path of each request that came, in order."""

    def start(self) -> None:
        """Serve."""
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                self.upstream = HTTPConnection(gateway._upstream, timeout=30)

            def finish(self) -> None:
                self.upstream.close()
                super().finish()

            def pass_on(self) -> None:
                gateway.asked.append((self.command, self.path))
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                headers = {
                    name.lower(): value
                    for name, value in self.headers.items()
                    if name.lower() not in HOP_BY_HOP
                }
                gateway.sign(self.command, self.path, headers)
                try:
                    self.upstream.request(self.command, self.path, body, headers)
                    response = self.upstream.getresponse()
                    content = response.read()
                except (OSError, HTTPException):
                    # As a server that goes away does.
                    self.close_connection = True
                    return
                self.send_response_only(response.status, response.reason)
                for name, value in response.getheaders():
                    if name.lower() not in HOP_BY_HOP | {"content-length"}:
                        self.send_header(name, value)
                length = response.getheader("content-length") if self.command == "HEAD" else None
                if response.status != 204:
                    self.send_header("Content-Length", length or str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = _Server(("127.0.0.1", self._port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections, and end those there are."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def sign(self, method: str, path: str, headers: dict[str, str]) -> None:
        """Sign a request anew, if it is signed, as of now."""
        found = AUTHORIZATION.fullmatch(headers.get("authorization", ""))
        if found is None:
            return
        key_id, region, signed = found.groups()
        at = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        headers["x-amz-date"] = at
        url = urlsplit(path)
        query = "&".join(
            sorted(part if "=" in part else f"{part}=" for part in url.query.split("&") if part)
        )
        canonical = "\n".join(
            [
                method,
                url.path,
                query,
                *(f"{name}:{' '.join(headers[name].split())}" for name in signed.split(";")),
                "",
                signed,
                headers["x-amz-content-sha256"],
            ]
        )
        scope = f"{at[:8]}/{region}/s3/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{digest}"
        key = f"AWS4{self._secret}".encode()
        for part in (at[:8], region, "s3", "aws4_request", text):
            key = hmac.digest(key, part.encode(), "sha256")
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, "
            f"SignedHeaders={signed}, Signature={key.hex()}"
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], handler: Callable[..., BaseHTTPRequestHandler]
    ) -> None:
        super().__init__(address, handler)
        self._open: set[object] = set()

    def process_request(self, request: object, client_address: object) -> None:
        self._open.add(request)
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def shutdown_request(self, request: object) -> None:
        self._open.discard(request)
        super().shutdown_request(request)  # type: ignore[arg-type]

    def server_close(self) -> None:
        super().server_close()
        for connection in list(self._open):
            self.shutdown_request(connection)
