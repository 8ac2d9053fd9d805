"""Reads: what a user may see of their own archive, and how its runs went."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from archive.models import (
    BackupRun,
    DrillRun,
    ErasedUser,
    Erasure,
    Export,
    HourObject,
    RetentionRun,
)
from common.database import row

HOURS_OF_A_DAY = 24


@dataclass(frozen=True, slots=True)
class Health:
    """How the archive's runs went, for whoever watches them; None where there was none yet."""

    backed_up_until: datetime | None
    """Everything sent before then is in cold storage."""
    backup_lag_seconds: float | None
    """How long ago that is: what a loss of the database right now would cost at the most."""
    drill: DrillRun | None
    """The last one that came to its end."""
    purge: RetentionRun | None
    """The last one that came to its end."""
    erasures_waiting: int
    """Texts and users whose erasure is not done in every tier."""
    now: datetime
    """The database's clock, which all these times are by."""

    def age_seconds(self, run: DrillRun | RetentionRun | None) -> float | None:
        """Return how long ago a run ended; None for none."""
        if run is None or run.finished_at is None:
            return None
        return (self.now - run.finished_at).total_seconds()


def health() -> Health:
    """Return how the archive's runs went: six short queries, none of which counts messages."""
    now: datetime = row("SELECT clock_timestamp()", ())[0]
    until = (
        BackupRun.objects.filter(finished_at__isnull=False, failed=0)
        .order_by("-until")
        .values_list("until", flat=True)
        .first()
    )
    return Health(
        backed_up_until=until,
        backup_lag_seconds=(now - until).total_seconds() if until else None,
        drill=DrillRun.objects.filter(finished_at__isnull=False).first(),
        purge=RetentionRun.objects.filter(finished_at__isnull=False).first(),
        erasures_waiting=Erasure.objects.filter(done_at=None).count()
        + ErasedUser.objects.filter(done_at=None).count(),
        now=now,
    )


def objects_of(
    user_id: UUID,
    *,
    year: int | None = None,
    day: int | None = None,
    hour: int | None = None,
    chat_id: UUID | None = None,
) -> QuerySet[HourObject]:
    """Return a user's objects; of a year, of a day of it, of an hour of that, of a chat.

    Raises ValueError for a day that the year does not have, and an hour that no day has.
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
                if not 0 <= hour < HOURS_OF_A_DAY:
                    raise ValueError
                first += timedelta(hours=hour)
                end = first + timedelta(hours=1)
        found = found.filter(segment__hour__gte=first, segment__hour__lt=end)
    if chat_id is not None:
        found = found.filter(segment__chat=chat_id)
    return found


def exports_of(user_id: UUID) -> QuerySet[Export]:
    """Return a user's exports but for those past their day."""
    return Export.objects.filter(user=user_id).exclude(
        Q(state=Export.State.READY, expires_at__lte=Now())
    )
