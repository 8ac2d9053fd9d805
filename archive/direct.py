"""The first attempt of a GET or a conditional PUT, straight to the bucket.

boto3's client takes 1.5 CPU-ms a request, most of it for parameters, endpoints, hooks and parsing
that are the same each time, and 16 MB. Here botocore's own signer, credentials and connections are
used without it: a third of that. An answer that is not the plain right one is no answer, and the
caller asks again through the client, which knows retries, pauses and what each error means.
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session
from botocore.response import StreamingBody
from botocore.utils import get_environ_proxies
from django.conf import settings
from urllib3.exceptions import HTTPError

from common.errors import ArchiveUnavailable

META = "x-amz-meta-"
_NEEDED = ("ETag", "Content-Length")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an answer is waited for, and how often it is asked for."""

    attempts: int
    connect_seconds: float
    read_seconds: float


PATIENT = Patience(attempts=5, connect_seconds=2, read_seconds=30)
BRISK = Patience(attempts=2, connect_seconds=2, read_seconds=3)


class Answer(NamedTuple):
    """An object as its GET began to give it."""

    metadata: dict[str, str]
    etag: str
    size: int
    body: StreamingBody


class Direct:
    """Signed requests over kept connections, shared by the threads of a process."""

    def __init__(self, patience: Patience, resolve: Callable[[], str]) -> None:
        """Take the patience, and what returns the URL of some object where none is given."""
        self._patience = patience
        self._resolve = resolve
        self._lock = threading.Lock()
        self._base = ""

    def warm(self) -> None:
        """Find out where the bucket is and who we are."""
        with self._lock:
            if self._base:
                return
            base = f"{settings.S3_ENDPOINT_URL.rstrip('/')}/{settings.S3_BUCKET}"
            if not settings.S3_ENDPOINT_URL:
                # Amazon's own: regions, partitions and names with dots are the client's to know.
                found = urlsplit(self._resolve())
                base = f"{found.scheme}://{found.netloc}{found.path.rpartition('/')[0]}"
            self._credentials = _credentials()
            self._session = URLLib3Session(
                # Botocore's own variable for the certificates of an authority of one's own; its
                # stubs know no path.
                verify=os.environ.get("AWS_CA_BUNDLE") or True,  # type: ignore[arg-type]
                proxies=get_environ_proxies(base),
                # A pair, as botocore itself gives it; its stubs know a single one.
                timeout=(  # type: ignore[arg-type]
                    self._patience.connect_seconds,
                    self._patience.read_seconds,
                ),
                max_pool_connections=settings.ARCHIVE_THREADS * 2,
                # As the client sets it: a body goes out after its headers, and would else wait
                # 40 ms for their acknowledgement.
                socket_options=[  # as urllib3 takes them; the stubs know texts
                    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # type: ignore[list-item]
                ],
            )
            self._base = base

    def get(self, key: str) -> Answer | None:
        """Begin to read an object; None when the client is to be asked."""
        found = self._send("GET", key, {}, None)
        if found is None:
            return None
        size = int(found.headers["Content-Length"])
        metadata = {
            name[len(META) :].lower(): value
            for name, value in found.headers.items()
            if name.lower().startswith(META)
        }
        return Answer(metadata, found.headers["ETag"], size, StreamingBody(found.raw, size))

    def put(self, key: str, body: bytes, headers: Mapping[str, str]) -> str | None:
        """Write an object; return its ETag, None when the client is to be asked."""
        found = self._send("PUT", key, headers, body)
        return None if found is None else str(found.headers["ETag"])

    def signed_url(self, key: str, seconds: int) -> str:
        """Return a URL by which an object can be read for so long; raises ArchiveUnavailable."""
        try:
            self.warm()
        except BotoCoreError as error:
            raise ArchiveUnavailable from error
        if self._credentials is None:
            raise ArchiveUnavailable
        request = AWSRequest("GET", f"{self._base}/{quote(key, safe='/~')}")
        who = self._credentials.get_frozen_credentials()
        S3SigV4QueryAuth(who, "s3", settings.S3_REGION, expires=seconds).add_auth(request)
        return str(request.url)

    def _send(self, method: str, key: str, headers: Mapping[str, str], body: bytes | None) -> Any:
        try:
            self.warm()
            if self._credentials is None:
                return None
            request = AWSRequest(
                method,
                f"{self._base}/{quote(key, safe='/~')}",
                headers=headers,
                data=body,
                # What is read is read by whoever asked, as it comes.
                stream_output=method == "GET",
            )
            who = self._credentials.get_frozen_credentials()
            S3SigV4Auth(who, "s3", settings.S3_REGION).add_auth(request)
            answer = self._session.send(request.prepare())
            if answer.status_code == HTTPStatus.OK and all(map(answer.headers.get, _NEEDED)):
                return answer
            # Read, so that its connection can be kept.
            _ = answer.content
        except (BotoCoreError, HTTPError):
            return None
        return None


def _credentials() -> Any:
    """Return who we are: as the settings say, else as botocore finds it on this machine."""
    if settings.S3_ACCESS_KEY_ID:
        return Credentials(settings.S3_ACCESS_KEY_ID, settings.S3_SECRET_ACCESS_KEY)
    from botocore.session import Session  # noqa: PLC0415 - not needed with a key of our own

    return Session().get_credentials()
