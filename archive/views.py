"""The routes of the archive: the caller's own objects, listed and downloaded."""

import hashlib
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, viewsets
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from archive.downloads import DownloadsBusy, File, send_held
from archive.hours import Damaged, hour_from, key_of, plain_chunks
from archive.models import HourObject
from archive.selectors import objects_of
from archive.serializers import ArchiveQuerySerializer, HourObjectSerializer
from archive.signatures import check
from common.bulkheads import bulkheads
from common.errors import ArchiveUnavailable, NotFound
from common.ids import parse_id
from common.limits import DOWNLOADS, READS, Limit
from common.renderers import JSONRenderer
from common.schema import refusal
from common.views import Reconnecting, caller_id

IN_MEMORY_BYTES = 256 * 1024
CONTENT_TYPE = "application/x-ndjson"


class FileRenderer(BaseRenderer):
    """Lets a client ask for what a download is; a subclass says what that is."""

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> Any:
        """Return an error as JSON, and say so: there is no file then."""
        renderer_context["response"]["Content-Type"] = JSONRenderer.media_type
        return JSONRenderer().render(data)


class LinesRenderer(FileRenderer):
    """Lines, a message each."""

    media_type = CONTENT_TYPE
    format = "ndjson"


@extend_schema_view(list=extend_schema(parameters=[ArchiveQuerySerializer]))
class ArchiveViewSet(Reconnecting, mixins.ListModelMixin, viewsets.GenericViewSet[HourObject]):
    """Your archive: what cold storage holds for you, one object per hour and chat.

    An object holds the messages that you could see, one a line, as the API shows them to you.
    """

    serializer_class = HourObjectSerializer
    queryset = HourObject.objects.none()
    ordering = ("-id",)

    @property
    def read_limit(self) -> Limit:
        """Return what limits the action: an object costs cold storage's time and money."""
        return DOWNLOADS if self.action == "download" else READS

    def get_queryset(self) -> QuerySet[HourObject]:
        """Return the caller's objects, of a time and chat if the query names them."""
        query = ArchiveQuerySerializer(data=self.request.query_params)
        query.is_valid(raise_exception=True)
        try:
            return objects_of(caller_id(self.request), **query.validated_data)
        except ValueError as error:
            raise ValidationError({"day": "That year has no such day."}) from error

    def get_renderers(self) -> list[Any]:
        """Offer a download's own type too."""
        more = [LinesRenderer()] if self.action == "download" else []
        return [*super().get_renderers(), *more]

    @extend_schema(
        operation_id="archive_download",
        responses={
            (200, CONTENT_TYPE): OpenApiResponse(bytes, "One message a line, gzip'ed on the way."),
            404: refusal(NotFound, about="You have no such object."),
            503: refusal(ArchiveUnavailable, DownloadsBusy),
        },
    )
    def download(
        self, request: Request, year: int, day: int, hour: int, chat_id: str
    ) -> HttpResponseBase:
        """Return one of your objects, whole."""
        chat = parse_id(chat_id)
        try:
            found = objects_of(
                caller_id(request), year=year, day=day, hour=hour, chat_id=chat
            ).first()
        except (ValueError, OverflowError) as error:
            raise NotFound from error
        if chat is None or found is None:
            raise NotFound
        file, what = fetched(found)
        what.headers["Content-Disposition"] = (
            f'attachment; filename="{year}-{day:03}-{hour:02}.ndjson"'
        )
        return send_held(file, what, user_id=caller_id(request))


def fetched(entry: HourObject) -> tuple[IO[bytes], File]:
    """Return an object's bytes after comparing their digest; raises ArchiveUnavailable.

    A read that breaks off is tried once more, as for a page.
    """
    # Here, as boto3 takes 17 MB that a worker which never reads the archive need not have.
    from archive import store  # noqa: PLC0415

    store.brisk.check_awake()
    with bulkheads.slow("archive"):
        return _read_whole(entry)


def _read_whole(entry: HourObject) -> tuple[IO[bytes], File]:
    from archive import store  # noqa: PLC0415 - as above

    for attempt in (1, 2):
        try:
            return _whole(entry)
        except (store.Missing, Damaged) as error:
            raise store.ArchiveUnavailable from error
        except store.ArchiveUnavailable:
            if attempt == 1:
                continue
            store.brisk.failed()
            raise
    raise store.ArchiveUnavailable


def _whole(entry: HourObject) -> tuple[IO[bytes], File]:
    """Read an object into a file; raises Missing, Damaged, ArchiveUnavailable."""
    from archive import store  # noqa: PLC0415

    key = key_of(entry.user_id, hour_from(entry.segment.hour), entry.segment.chat_id)
    file: IO[bytes] = SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - closed when sent
    sha = hashlib.sha256()
    etag = ""

    def kept() -> Iterator[bytes]:
        nonlocal etag
        found = store.brisk.get(key)
        check(key, found.metadata, entry.generation)
        etag = found.etag
        if found.size > 2 * entry.size + IN_MEMORY_BYTES:
            raise Damaged(f"{key} is larger than what was written")
        for chunk in found.chunks:
            file.write(chunk)
            yield chunk

    for plain in plain_chunks(kept()):
        sha.update(plain)
    digests = {bytes(digest) for digest in (entry.sha256, entry.next_sha256) if digest}
    if sha.digest() not in digests:
        raise Damaged(f"{key} is not what was written")
    size = file.tell()
    file.seek(0)
    headers = {"Content-Type": CONTENT_TYPE, "Content-Encoding": "gzip"}
    return file, File(key, etag, size, headers)
