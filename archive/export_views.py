"""The routes of a personal export: ask for one, see how far it is, download it."""

from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.serializers import NothingSerializer
from archive import export
from archive.downloads import DownloadsBusy, File, hand_over, send_chunks
from archive.models import Export
from archive.selectors import exports_of
from archive.serializers import ExportSerializer
from archive.views import FileRenderer
from common.bulkheads import bulkheads
from common.errors import ArchiveUnavailable, Conflict, NotFound
from common.ids import parse_id
from common.limits import DOWNLOADS, EXPORTS, READS, Limit
from common.schema import refusal
from common.views import Reconnecting, Verb, caller_id


class NotReady(Conflict):
    """There is no file of that export yet, or none any more."""

    default_code = "export_not_ready"
    default_detail = "This export is not ready. Look at its state, and come back when it is."


class ZipRenderer(FileRenderer):
    """A ZIP."""

    media_type = export.CONTENT_TYPE
    format = "zip"


@extend_schema_view(
    post=extend_schema(
        request=None,
        responses={
            202: ExportSerializer,
            200: OpenApiResponse(ExportSerializer, "One is being made or fresh: that one."),
            503: refusal(ArchiveUnavailable, export.ExportsUnavailable),
        },
    )
)
class ExportView(Verb):
    """Ask for a ZIP of all your messages and your profile.

    It is made in a while and kept for a day; `/exports/{id}/` says how far it is. Asking again
    while one is being made or fresh answers with that one.
    """

    serializer_class = NothingSerializer
    limit = EXPORTS

    def perform(self, caller_id: UUID, body: dict[str, Any]) -> tuple[int, Any]:
        """Ask for one."""
        found, new = export.ask_for_export(user_id=caller_id)
        code = status.HTTP_202_ACCEPTED if new else status.HTTP_200_OK
        return code, ExportSerializer(found).data


class ExportViewSet(Reconnecting, mixins.ListModelMixin, viewsets.GenericViewSet[Export]):
    """Your exports, the latest first. Each is kept for a day."""

    serializer_class = ExportSerializer

    @property
    def read_limit(self) -> Limit:
        """Return what limits the action."""
        return DOWNLOADS if self.action == "download" else READS

    queryset = Export.objects.none()
    ordering = ("-id",)

    def get_queryset(self) -> QuerySet[Export]:
        """Return the caller's exports."""
        return exports_of(caller_id(self.request))

    def get_renderers(self) -> list[Any]:
        """Offer a download's own type too."""
        more = [ZipRenderer()] if self.action == "download" else []
        return [*super().get_renderers(), *more]

    def _found(self, pk: str) -> Export:
        id_ = parse_id(pk)
        found = self.get_queryset().filter(pk=id_).first() if id_ else None
        if found is None:
            raise NotFound
        return found

    @extend_schema(responses={200: ExportSerializer})
    def retrieve(self, request: Request, pk: str) -> Response:
        """Return one of your exports: how far it is, and where to get it."""
        return Response(self.get_serializer(self._found(pk)).data)

    @extend_schema(
        operation_id="export_download",
        responses={
            (200, export.CONTENT_TYPE): OpenApiResponse(bytes, "The ZIP."),
            404: refusal(NotFound, about="You have no such export, or its file is gone."),
            409: refusal(NotReady),
            503: refusal(ArchiveUnavailable, DownloadsBusy),
        },
    )
    @action(detail=True)
    def download(self, request: Request, pk: str) -> HttpResponseBase:
        """Return one of your exports as a ZIP."""
        found = self._found(pk)
        if found.state != Export.State.READY:
            raise NotReady
        return sent(found)


def sent(found: Export) -> HttpResponseBase:
    """Answer with a ready export, by nginx where it stands before us.

    Raises ArchiveUnavailable, DownloadsBusy, NotFound when its object is gone.
    """
    # Here, as boto3 takes 17 MB that a worker which never reads the archive need not have.
    from archive import store  # noqa: PLC0415

    name = f"strata-{found.asked_at:%Y-%m-%d}.zip"
    headers = {
        "Content-Type": export.CONTENT_TYPE,
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    # What breaks off midway is seen by its length, other bytes by the digest or the ZIP's own.
    what = File(export.key_of_export(found.user_id, found.pk), "", found.size or 0, headers)
    store.brisk.check_awake()
    try:
        if settings.DOWNLOADS_BY_PROXY:
            with bulkheads.slow("archive"):
                etag = store.brisk.etag(what.key)
            return hand_over(what._replace(etag=etag), user_id=found.user_id)
        return send_chunks(partial(_begun, what.key), what, user_id=found.user_id)
    except store.Missing:
        export.lost(export=found)
        raise NotFound("The file of this export is gone. Ask for a new one.") from None
    except store.ArchiveUnavailable:
        store.brisk.failed()
        raise


def _begun(key: str) -> Iterator[bytes]:
    """Return an object's bytes once the first are there; raises Missing, ArchiveUnavailable."""
    from archive import store  # noqa: PLC0415

    chunks = store.brisk.get(key).chunks
    return chain([next(chunks, b"")], chunks)
