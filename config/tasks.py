"""What Celery beat has done for those who watch the service."""

import logging
import time

from celery import shared_task
from django.db.models import Count, Max, Sum
from django.utils import timezone

from archive.models import HourObject, Segment
from common.cache import CacheUnavailable, cache
from config import counting, figures, health
from config.figures import MEASURED_KEY
from moderation.selectors import live_cases
from overview import services as overview
from overview.models import Name

logger = logging.getLogger(__name__)
COUNTED_AT_ONCE = 100_000


@shared_task
def measure() -> bool:
    """Count what cold storage holds, too much to count at each scrape, and keep it in the cache.

    Some rows at a time, as one statement may not count them all in time. Idempotent.
    """
    objects = size = messages = 0
    last = HourObject.objects.aggregate(last=Max("pk"))["last"] or 0
    for start in range(0, last, COUNTED_AT_ONCE):
        some = HourObject.objects.filter(pk__gt=start, pk__lte=start + COUNTED_AT_ONCE).aggregate(
            number=Count("pk"), size=Sum("size"), messages=Sum("count")
        )
        objects += some["number"]
        size += some["size"] or 0
        messages += some["messages"] or 0
    found = {
        "objects": objects,
        "bytes": size,
        "copies": messages,
        "segments": Segment.objects.filter(purged_at=None).count(),
        "at": int(time.time()),
    }
    try:
        cache.execute("HSET", MEASURED_KEY, *(part for pair in found.items() for part in pair))
    except CacheUnavailable as error:
        logger.info("what cold storage holds can't be told: %s", error)
        return False
    return True


@shared_task
def note_figures() -> bool:
    """Note what the dashboard shows; what can't be asked is left out. May run twice at once."""
    now = timezone.now()
    overview.count_messages()
    overview.note_served(now, served())
    found = health.answers(figures.COLD, figures.KEPT)
    values: dict[str, float] = {Name.REPORTS: live_cases()}
    cold, kept = found["cold"].facts, found["kept"].facts
    if cold:
        values[Name.BACKUP_LAG] = max(0.0, cold["now"] - cold["complete_until"])
    if kept:
        values[Name.QUEUE] = kept["queued"]
    overview.note(now, values)
    overview.forget(now)
    return True


def served() -> dict[str, float]:
    """Return how many answers each tier was the slowest of, as the web workers here count them."""
    totals: dict[str, float] = {}
    for (name, labels), value in counting.totals().items():
        if name == counting.SERVED.name and labels[-1] in Name.values:
            totals[labels[-1]] = totals.get(labels[-1], 0.0) + value
    return totals
