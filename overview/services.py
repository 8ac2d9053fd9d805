"""Writes: the figures of the dashboard, added to each minute. Everything may run twice at once."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Case, F, Max, When
from django.utils import timezone

from messaging.models import Message
from overview.models import Figure, Name, Progress, Writer
from overview.sql import read_sql

_COUNT = read_sql("count_messages.sql")
_UPTO = read_sql("count_upto.sql")
HOUR = timedelta(hours=1)
STRETCH = timedelta(minutes=10)
MARGIN_SECONDS = 30
"""Far above the longest transaction: what is older is committed or never will be."""
OVERLAP = timedelta(minutes=5)
FIRST_HOURS = timedelta(hours=48)
FIRST_MESSAGES = 200_000
"""Of what was there before the first run, so many of the last messages are looked at."""
AT_ONCE = 100_000
HOURLY = (Name.MESSAGES, Name.WRITERS)
KEPT = {"hourly": timedelta(days=90), "other": timedelta(days=7)}


def count_messages() -> int:
    """Add the messages since the last run to the figures of their hours; return up to which id."""
    while True:
        with transaction.atomic():
            progress = _progress()
            after = progress.message_id
            if after is None:
                last = Message.objects.aggregate(last=Max("pk"))["last"] or 0
                after = max(0, last - FIRST_MESSAGES)
                progress.counted_at = timezone.now() - FIRST_HOURS
            since = progress.counted_at - OVERLAP
            with connection.cursor() as cursor:
                cursor.execute(_UPTO, {"after": after, "margin": MARGIN_SECONDS, "most": AT_ONCE})
                (upto,) = cursor.fetchone()
                if upto is not None:
                    cursor.execute(_COUNT, {"after": after, "upto": upto, "since": since})
            progress.message_id = after if upto is None else upto
            if upto is None:
                # Behind with the messages, the time stays where it is.
                progress.counted_at = timezone.now()
            progress.save(update_fields=["message_id", "counted_at"])
        if upto is None:
            return int(after)


def note(moment: datetime, values: Mapping[str, float]) -> None:
    """Note what things come to now, under the stretch of ten minutes; of a queue the longest."""
    at = stretch_of(moment)
    for name, value in values.items():
        figure, new = Figure.objects.get_or_create(name=name, at=at, defaults={"value": value})
        if not new:
            Figure.objects.filter(pk=figure.pk).update(
                value=Case(
                    When(name=Name.QUEUE, value__gt=value, then=F("value")), default=float(value)
                )
            )


def note_served(moment: datetime, totals: Mapping[str, float]) -> None:
    """Add what the tiers have served since the last call; `totals` are counts that only grow.

    One that has become smaller began again at zero: its server was started again.
    """
    at = stretch_of(moment)
    with transaction.atomic():
        progress = _progress()
        for tier, total in totals.items():
            before = float(progress.served.get(tier, total))
            more = total - before if total >= before else total
            if more > 0:
                _, new = Figure.objects.get_or_create(name=tier, at=at, defaults={"value": more})
                if not new:
                    Figure.objects.filter(name=tier, at=at).update(value=F("value") + more)
        progress.served = {**progress.served, **totals}
        progress.save(update_fields=["served"])


def forget(moment: datetime) -> int:
    """Delete what no page shows any more; return how many figures."""
    Writer.objects.filter(hour__lt=moment - 3 * HOUR).delete()
    old, _ = Figure.objects.filter(name__in=HOURLY, at__lt=moment - KEPT["hourly"]).delete()
    others = [name for name in Name.values if name not in HOURLY]
    more, _ = Figure.objects.filter(name__in=others, at__lt=moment - KEPT["other"]).delete()
    return old + more


def stretch_of(moment: datetime) -> datetime:
    """Return the beginning of the ten minutes that a moment is in."""
    return moment.replace(minute=moment.minute - moment.minute % 10, second=0, microsecond=0)


def _progress() -> Progress:
    """Return the row of progress, locked until the transaction's end."""
    Progress.objects.get_or_create(pk=1)
    return Progress.objects.select_for_update().get(pk=1)
