"""What Celery beat has done for the audit log: see CELERY_BEAT_SCHEDULE."""

import logging

from celery import shared_task

from audit.repeated import write_held
from common.cache import CacheUnavailable

logger = logging.getLogger(__name__)


@shared_task
def record_repeated() -> int:
    """Write what was counted in place of entries. Idempotent, but that a crash counts it twice."""
    try:
        written = write_held()
    except CacheUnavailable as error:
        logger.info("what was counted for the audit log stays in the cache: %s", error)
        return 0
    if written:
        logger.info("%d entries with a number written to the audit log", written)
    return written
