"""What a user may see of their own archive."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import F, QuerySet

from archive.models import HourObject


def objects_of(
    user_id: UUID,
    *,
    year: int | None = None,
    day: int | None = None,
    hour: int | None = None,
    chat_id: UUID | None = None,
) -> QuerySet[HourObject]:
    """Return a user's objects; of a year, of a day of it, of an hour of that, of a chat.

    Raises ValueError for a day that the year does not have.
    """
    found = (
        HourObject.objects.filter(user=user_id, segment__purged_at=None)
        .select_related("segment")
        .annotate(hour=F("segment__hour"), chat_id=F("segment__chat"))
    )
    if year is not None:
        first = datetime(year, 1, 1, tzinfo=UTC)
        end = datetime(year + 1, 1, 1, tzinfo=UTC)
        if day is not None:
            first += timedelta(days=day - 1)
            if first >= end:
                raise ValueError
            end = first + timedelta(days=1)
            if hour is not None:
                first += timedelta(hours=hour)
                end = first + timedelta(hours=1)
        found = found.filter(segment__hour__gte=first, segment__hour__lt=end)
    if chat_id is not None:
        found = found.filter(segment__chat=chat_id)
    return found
