"""The routes of moderation: reporting, and one's own reports."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, status, viewsets
from rest_framework.serializers import Serializer

from common.errors import NotFound, Unavailable
from common.limits import REPORTS
from common.samples import BOB, CHAT
from common.schema import refusal
from common.views import Reconnecting, Verb, caller_id
from moderation import selectors, services
from moderation.errors import NotReportable, SelfReport, TooManyOpenReports
from moderation.models import Report
from moderation.serializers import (
    ReportMessageSerializer,
    ReportSerializer,
    ReportUserSerializer,
)


def _answer(found: tuple[Report, bool]) -> tuple[int, Any]:
    report, created = found
    code = status.HTTP_201_CREATED if created else status.HTTP_200_OK
    return code, ReportSerializer(report).data


@extend_schema_view(
    post=extend_schema(
        responses={
            201: ReportSerializer,
            200: OpenApiResponse(ReportSerializer, "You had reported it already."),
            400: refusal(SelfReport, NotReportable, invalid=True),
            404: refusal(NotFound, about="No such message, or none that you may see."),
            409: refusal(TooManyOpenReports),
            503: refusal(Unavailable),
        },
    )
)
class ReportMessageView(Verb):
    """Report a message that you can see to the moderators.

    They see it as it was, and what was said around it. Nobody else learns that you did.
    """

    serializer_class: type[Serializer[Any]] = ReportMessageSerializer
    sample = {"chat_id": CHAT, "seq": 1, "reason": "spam", "comment": "The same to everybody."}
    limit = REPORTS

    def perform(self, caller_id: UUID, body: dict[str, Any]) -> tuple[int, Any]:
        """Report it."""
        return _answer(services.report_message(reporter_id=caller_id, **body))


@extend_schema_view(
    post=extend_schema(
        responses={
            201: ReportSerializer,
            200: OpenApiResponse(ReportSerializer, "You had, and nobody has decided yet."),
            400: refusal(SelfReport, invalid=True),
            404: refusal(NotFound, about="No such user."),
            409: refusal(TooManyOpenReports),
        },
    )
)
class ReportUserView(Verb):
    """Report a user to the moderators. Nobody else learns that you did."""

    serializer_class: type[Serializer[Any]] = ReportUserSerializer
    sample = {"user_id": BOB, "reason": "harassment", "comment": "Writes to me every night."}
    limit = REPORTS

    def perform(self, caller_id: UUID, body: dict[str, Any]) -> tuple[int, Any]:
        """Report them."""
        return _answer(services.report_user(reporter_id=caller_id, **body))


class ReportViewSet(Reconnecting, mixins.ListModelMixin, viewsets.GenericViewSet[Report]):
    """What you have reported, the latest first, and how far the moderators are with it."""

    serializer_class = ReportSerializer
    queryset = Report.objects.none()
    ordering = "-id"

    def get_queryset(self) -> QuerySet[Report]:
        """Return the caller's reports."""
        return selectors.reports_by(caller_id(self.request))
