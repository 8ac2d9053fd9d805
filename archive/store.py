"""The bucket: put, get, delete and list, through django-storages and its one boto3 client.

Two ways with the same pool and key: a patient one for runs, which tries again with growing pauses,
and a brisk one for pages, which somebody waits for. Objects are read and written by
`archive.direct` first, and through the client where that gave no right answer. What comes out is
an object, `Missing`, `Changed` (a conditional write that came too late) or `ArchiveUnavailable`.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeVar

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files.storage import storages
from urllib3.exceptions import HTTPError

from archive.direct import BRISK, META, PATIENT, Direct, Patience
from archive.hours import Damaged, Facts, Packed
from archive.signatures import FIRST, signed_metadata
from common.errors import ArchiveUnavailable as ArchiveUnavailable  # noqa: PLC0414 - sought here

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CopySourceTypeDef

T = TypeVar("T")
CHUNK_BYTES = 256 * 1024
DELETE_AT_ONCE = 1000
TRIES = 3
"""How often an object is read that breaks off or comes out wrong: that may have been on the way."""
PAUSE_SECONDS = 2.0
"""How long pages leave the store alone after it failed one."""
CONTENT_TYPE = "application/x-ndjson"
FAILURES = (ClientError, BotoCoreError, HTTPError)
"""What goes wrong with the client; the last where an answer that is an error breaks off itself."""
_IN_PARTS = TransferConfig(
    multipart_threshold=256 * 1024**2, multipart_chunksize=64 * 1024**2, max_concurrency=2
)


class Missing(Exception):
    """There is no object of that key."""


class Changed(Exception):
    """The object is not the one that was to be replaced: somebody else wrote it."""


class Found(NamedTuple):
    """An object that is being read."""

    metadata: dict[str, str]
    etag: str
    size: int
    chunks: Iterator[bytes]

    def facts(self) -> Facts:
        """Return what it says of itself; raises Damaged."""
        return Facts.read(self.metadata)


class Store:
    """One client's way to the bucket."""

    def __init__(self, name: str, patience: Patience) -> None:
        self._name = name
        self._patience = patience
        self._lock = threading.Lock()
        self._clients: dict[int, S3Client] = {}
        self._directs: dict[int, Direct] = {}
        self._conditional = True
        self._left_alone_until = 0.0

    @property
    def client(self) -> "S3Client":
        """Return this process' client, which all its threads share."""
        client = self._clients.get(os.getpid())
        if client is None:
            with self._lock:
                storage: Any = storages[self._name]
                client = storage.connection.meta.client
                self._clients = {os.getpid(): client}
        return client

    @property
    def direct(self) -> Direct:
        """Return this process' short way to objects."""
        direct = self._directs.get(os.getpid())
        if direct is None:
            direct = Direct(self._patience, self._some_url)
            self._directs = {os.getpid(): direct}
        return direct

    def _some_url(self) -> str:
        parameters = {"Bucket": settings.S3_BUCKET, "Key": "x"}
        return self.client.generate_presigned_url("get_object", Params=parameters)

    def get(self, key: str) -> Found:
        """Begin to read an object; raises Missing, ArchiveUnavailable."""
        if (answer := self.direct.get(key)) is not None:
            return Found(answer.metadata, answer.etag, answer.size, _read(answer.body))
        try:
            found = self.client.get_object(Bucket=settings.S3_BUCKET, Key=key)
        except FAILURES as error:
            raise _meaning(error) from error
        return Found(found["Metadata"], found["ETag"], found["ContentLength"], _read(found["Body"]))

    def etag(self, key: str) -> str:
        """Return an object's ETag; raises Missing, ArchiveUnavailable."""
        return self.head(key)[1]

    def head(self, key: str) -> tuple[dict[str, str], str]:
        """Return an object's metadata and ETag; raises Missing, ArchiveUnavailable."""
        try:
            found = self.client.head_object(Bucket=settings.S3_BUCKET, Key=key)
        except FAILURES as error:
            raise _meaning(error) from error
        return found["Metadata"], found["ETag"]

    def change_metadata(self, key: str, metadata: dict[str, str], etag: str) -> str:
        """Give an hour object other metadata, by a copy in its own place; return its ETag.

        Raises Changed when another one is there, Missing, ArchiveUnavailable.
        """
        try:
            answer = self.client.copy_object(
                Bucket=settings.S3_BUCKET, Key=key,
                CopySource={"Bucket": settings.S3_BUCKET, "Key": key}, CopySourceIfMatch=etag,
                Metadata=metadata, MetadataDirective="REPLACE",
                ContentType=CONTENT_TYPE, ContentEncoding="gzip",
            )  # fmt: skip
        except FAILURES as error:
            raise _meaning(error) from error
        return answer["CopyObjectResult"]["ETag"]

    def read(self, key: str, take: Callable[[Found], T]) -> T:
        """Read an object by what takes it, and again where it breaks off or comes out wrong.

        Raises Missing, ArchiveUnavailable, and Damaged where it is so each time.
        """
        for attempt in range(1, TRIES + 1):
            found = self.get(key)
            try:
                return take(found)
            except (Damaged, ArchiveUnavailable):
                if attempt == TRIES:
                    raise
        raise ArchiveUnavailable

    def put(
        self, key: str, packed: Packed, *, replaces: str | None, generation: int = FIRST
    ) -> str:
        """Write an hour object, signed, and return its ETag; it replaces that one, or none.

        Raises Changed when another one is there, ArchiveUnavailable.
        """
        metadata = signed_metadata(key, packed.facts, generation)
        if self._conditional and packed.file is None:
            headers = {
                "Content-Type": CONTENT_TYPE,
                "Content-Encoding": "gzip",
                **{f"{META}{name}": value for name, value in metadata.items()},
                **({"If-None-Match": "*"} if replaces is None else {"If-Match": replaces}),
            }
            if (etag := self.direct.put(key, packed.held, headers)) is not None:
                return etag
        return self._put(key, packed, metadata, replaces=replaces)

    def _put(
        self, key: str, packed: Packed, metadata: dict[str, str], *, replaces: str | None
    ) -> str:
        body = packed.body()
        options: dict[str, Any] = {"ContentEncoding": "gzip", "ContentType": CONTENT_TYPE}
        if self._conditional:
            options |= {"IfNoneMatch": "*"} if replaces is None else {"IfMatch": replaces}
        try:
            answer = self.client.put_object(
                Bucket=settings.S3_BUCKET,
                Key=key,
                Body=body,
                Metadata=metadata,
                **options,
            )
        except ClientError as error:
            if self._conditional and _status(error) == HTTPStatus.NOT_IMPLEMENTED:
                # The locks alone must do: this server knows no conditional writes.
                self._conditional = False
                return self._put(key, packed, metadata, replaces=replaces)
            raise _meaning(error) from error
        except (BotoCoreError, HTTPError) as error:
            raise _meaning(error) from error
        finally:
            if not isinstance(body, bytes):
                body.close()
        return answer["ETag"]

    @property
    def conditional(self) -> bool:
        """Whether the server takes a condition for a write, as far as is known."""
        return self._conditional

    def copy(self, key: str, to: str) -> None:
        """Copy an object within the bucket, what it says of itself included.

        Raises Missing, ArchiveUnavailable.
        """
        source: CopySourceTypeDef = {"Bucket": settings.S3_BUCKET, "Key": key}
        try:
            self.client.copy_object(Bucket=settings.S3_BUCKET, Key=to, CopySource=source)
        except FAILURES as error:
            raise _meaning(error) from error

    def put_plain(self, key: str, body: bytes | IO[bytes], metadata: dict[str, str]) -> None:
        """Write a gzip'ed object that is no hour object, whatever was there."""
        try:
            self.client.put_object(
                Bucket=settings.S3_BUCKET, Key=key, Body=body, Metadata=metadata,
                ContentEncoding="gzip", ContentType=CONTENT_TYPE,
            )  # fmt: skip
        except FAILURES as error:
            raise _meaning(error) from error
        finally:
            if not isinstance(body, bytes):
                body.close()

    def put_file(self, key: str, name: str, content_type: str, metadata: dict[str, str]) -> None:
        """Write a file of any size, a large one in parts, whatever was there."""
        extra = {"ContentType": content_type, "Metadata": metadata}
        try:
            with open(name, "rb") as file:  # noqa: PTH123
                self.client.upload_fileobj(
                    file, settings.S3_BUCKET, key, ExtraArgs=extra, Config=_IN_PARTS
                )
        except FAILURES as error:
            raise _meaning(error) from error

    def check_reachable(self) -> None:
        """Raise ArchiveUnavailable unless the bucket answers."""
        try:
            self.client.head_bucket(Bucket=settings.S3_BUCKET)
        except FAILURES as error:
            raise ArchiveUnavailable from error

    def delete(self, keys: Iterable[str]) -> None:
        """Delete up to a thousand objects; those that are not there are fine."""
        objects = [{"Key": key} for key in keys]
        if not objects:
            return
        try:
            answer = self.client.delete_objects(
                Bucket=settings.S3_BUCKET,
                Delete={"Objects": objects, "Quiet": True},  # type: ignore[typeddict-item]
            )
        except FAILURES as error:
            raise _meaning(error) from error
        if errors := answer.get("Errors"):
            raise ArchiveUnavailable(f"{errors[0].get('Key')} could not be deleted")

    def keys(self, prefix: str, *, after: str = "") -> Iterator[tuple[str, int]]:
        """Yield the keys below a prefix with their sizes, in order of key."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=settings.S3_BUCKET, Prefix=prefix, StartAfter=after
        )
        try:
            for page in pages:
                for entry in page.get("Contents", []):
                    yield entry["Key"], entry["Size"]
        except FAILURES as error:
            raise _meaning(error) from error

    def folders(self, prefix: str) -> list[str]:
        """Return the prefixes one level below a prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=settings.S3_BUCKET, Prefix=prefix, Delimiter="/"
        )
        try:
            return [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]
        except FAILURES as error:
            raise _meaning(error) from error

    def check_awake(self) -> None:
        """Raise ArchiveUnavailable when the store failed a page a moment ago."""
        if time.monotonic() < self._left_alone_until:
            raise ArchiveUnavailable

    def failed(self) -> None:
        """Leave the store alone for a moment."""
        self._left_alone_until = time.monotonic() + PAUSE_SECONDS


def _read(body: "StreamingBody") -> Iterator[bytes]:
    """Yield a body's bytes; raises ArchiveUnavailable when it breaks off."""
    try:
        yield from body.iter_chunks(CHUNK_BYTES)
    except FAILURES as error:
        raise _meaning(error) from error
    finally:
        body.close()


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _meaning(error: Exception) -> Exception:
    """Return what an error of the client means to us."""
    if isinstance(error, ClientError):
        if error.response.get("Error", {}).get("Code") in ("NoSuchKey", "NotFound", "404"):
            return Missing(str(error))
        if _status(error) in (HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT):
            return Changed(str(error))
    return ArchiveUnavailable()


patient = Store("archive", PATIENT)
brisk = Store("archive-pages", BRISK)
