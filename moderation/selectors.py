"""Reads that answer a question about reports."""

from uuid import UUID

from django.db.models import QuerySet

from moderation.models import LIVE, Case, Report


def reports_by(reporter_id: UUID) -> QuerySet[Report]:
    """Return what a user has reported."""
    return Report.objects.filter(reporter=reporter_id).select_related("case")


def live_cases() -> int:
    """Return how many cases nobody has decided."""
    return Case.objects.filter(state__in=LIVE).count()
