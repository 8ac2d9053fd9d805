"""Files on their way to their readers, who may take them however slowly.

Where our nginx stands before us (`DOWNLOADS_BY_PROXY`) it is told which object to get, and sends
it: no web thread waits for a reader, and nginx counts how many each user has under way. Where none
does, a few threads of each web worker may send at a time; who comes beyond that is told to come
again. What is small is answered whole, either way: no thread waits for its reader.
"""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from common.errors import ArchiveUnavailable, Unavailable

WHOLE_BYTES = 1024 * 1024
CHUNK_BYTES = 64 * 1024
URL_SECONDS = 60
"""How long a URL is good for beginning to read; what has begun goes on."""
HANDED_OVER = "/_object"
"""The place in `ops/nginx.conf` that gets an object; nobody outside can ask for it."""


class DownloadsBusy(Unavailable):
    """As many downloads are under way as this server, or this user, may have at a time."""

    default_code = "downloads_busy"
    default_detail = (
        "Too many downloads are under way. Finish yours, or send the same request again in a while."
    )


class File(NamedTuple):
    """What a reader gets, and the object of the bucket that holds just these bytes."""

    key: str
    etag: str
    size: int
    headers: dict[str, str]


class Slots:
    """So many downloads at a time may hold a thread of this process, and so many of one user."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[UUID] = Counter()

    def take(self, user_id: UUID) -> None:
        """Take one for a user; raises DownloadsBusy."""
        with self._lock:
            if (
                self._taken.total() >= settings.DOWNLOAD_THREADS
                or self._taken[user_id] >= settings.DOWNLOADS_PER_USER
            ):
                raise DownloadsBusy
            self._taken[user_id] += 1

    def give_back(self, user_id: UUID) -> None:
        """Give one of a user's back."""
        with self._lock:
            self._taken[user_id] -= 1
            if not self._taken[user_id]:
                del self._taken[user_id]


slots = Slots()


class _Sending:
    """Chunks on their way, which hold a slot until they are sent or given up."""

    _user_id: UUID | None = None

    def __init__(self, begin: Callable[[], Iterator[bytes]], user_id: UUID) -> None:
        slots.take(user_id)
        self._user_id = user_id
        try:
            self._chunks = begin()
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> "_Sending":
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the slot back, once."""
        user_id, self._user_id = self._user_id, None
        if user_id is not None:
            slots.give_back(user_id)

    # A server that drops an answer without closing it is no reason to lose a slot for good.
    __del__ = close


def send_held(file: IO[bytes], what: File, *, user_id: UUID) -> HttpResponseBase:
    """Answer with a file that was read and found right, or have nginx get just that object.

    Raises DownloadsBusy, ArchiveUnavailable.
    """
    if what.size <= WHOLE_BYTES:
        with file:
            return HttpResponse(file.read(), headers=what.headers)
    if settings.DOWNLOADS_BY_PROXY:
        file.close()
        return hand_over(what, user_id=user_id)
    return send_chunks(partial(_read, file), what, user_id=user_id)


def send_chunks(
    begin: Callable[[], Iterator[bytes]], what: File, *, user_id: UUID
) -> HttpResponseBase:
    """Answer with what comes in pieces, by a thread of ours; raises DownloadsBusy."""
    answer = StreamingHttpResponse(_Sending(begin, user_id), headers=what.headers)
    # What breaks off midway is seen by its length.
    answer["Content-Length"] = str(what.size)
    return answer


def hand_over(what: File, *, user_id: UUID) -> HttpResponse:
    """Have nginx get and send an object, while it is this one; raises ArchiveUnavailable."""
    # Here, as boto3 takes 17 MB that a worker which never reads the archive need not have.
    from archive import store  # noqa: PLC0415

    url = urlsplit(store.brisk.direct.signed_url(what.key, URL_SECONDS))
    address = _address(url.hostname or "", url.port or (443 if url.scheme == "https" else 80))
    answer = HttpResponse(headers=what.headers)
    answer["X-Accel-Redirect"] = HANDED_OVER
    # By its address, since nginx asks no file of hosts; the signature is over the name.
    answer["X-Object-URL"] = f"{url.scheme}://{address}{url.path}?{url.query}"
    answer["X-Object-Host"] = url.netloc
    answer["X-Object-ETag"] = what.etag
    answer["X-Object-User"] = str(user_id)
    if encoding := what.headers.get("Content-Encoding"):
        # nginx drops that one of an answer that hands over.
        answer["X-Object-Encoding"] = encoding
    return answer


def _address(host: str, port: int) -> str:
    try:
        found: Any = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4]
    except OSError as error:
        raise ArchiveUnavailable from error
    return f"[{found[0]}]:{port}" if ":" in found[0] else f"{found[0]}:{port}"


def _read(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
