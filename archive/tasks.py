"""What Celery beat has done for cold storage (CELERY_BEAT_SCHEDULE); each may run twice at once."""

import logging

from celery import shared_task

from archive import backup as backups

logger = logging.getLogger(__name__)


@shared_task
def backup() -> bool:
    """Back up what was sent before the last full hour, missed hours included. Idempotent."""
    report = backups.backup()
    logger.info("backup: %s", report)
    return bool(report["ok"])
