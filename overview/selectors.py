"""Reads: what the dashboard shows, from the figures alone, in one query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from overview.models import Figure, Name
from overview.services import HOUR, HOURLY, STRETCH, stretch_of

HOURS = 48
STRETCHES = 144
SERVED = (Name.FROM_CACHE, Name.FROM_DATABASE, Name.FROM_ARCHIVE)

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures by name, each with as many values as its times; None where nothing was noted."""

    hours: Sequence[datetime]
    stretches: Sequence[datetime]
    values: Mapping[str, Values]
    newest: datetime | None
    """The last stretch that anything was noted in."""

    def last(self, name: Name) -> float | None:
        """Return the last value that was noted."""
        return next((value for value in reversed(self.values[name]) if value is not None), None)

    def whole_hour(self, name: Name) -> float | None:
        """Return the value of the last hour that is over; None while nothing was ever noted."""
        return None if self.newest is None else self.values[name][-2] or 0.0


def figures(now: datetime) -> Figures:
    """Return the figures of the last two days by the hour, and of the last day by ten minutes."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    hours = [hour - HOUR * back for back in reversed(range(HOURS))]
    stretch = stretch_of(now)
    stretches = [stretch - STRETCH * back for back in reversed(range(STRETCHES))]
    others = [name for name in Name if name not in HOURLY]
    wanted = Q(name__in=HOURLY, at__gte=hours[0]) | Q(name__in=others, at__gte=stretches[0])
    found = {
        (name, at): value
        for name, at, value in Figure.objects.filter(wanted).values_list("name", "at", "value")
    }
    values: dict[str, Values] = {
        name: [found.get((name, at)) for at in (hours if name in HOURLY else stretches)]
        for name in Name
    }
    newest = max((at for name, at in found if name in others), default=None)
    return Figures(hours, stretches, values, newest)


def by_hour(values: Values, times: Sequence[datetime]) -> list[tuple[datetime, float]]:
    """Return ten-minute values added up by the hour."""
    sums: dict[datetime, float] = {}
    for at, value in zip(times, values, strict=True):
        hour = at.replace(minute=0)
        sums[hour] = sums.get(hour, 0.0) + (value or 0.0)
    return sorted(sums.items())


def late(found: Figures, now: datetime) -> timedelta | None:
    """Return for how long nothing has been noted, if too long; None where all is well."""
    if found.newest is None:
        return None
    since = now - found.newest
    return since if since > 2 * STRETCH else None
