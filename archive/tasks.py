"""What Celery beat has done for cold storage (CELERY_BEAT_SCHEDULE); each may run twice at once."""

import logging
from uuid import UUID

from celery import shared_task

from archive import anchors, export_making, jobs
from archive import backup as backups
from archive import drill as drills
from archive import purge as purges
from archive import trim as trims
from archive import verify as verifying
from archive.store import brisk
from common.errors import ArchiveUnavailable

logger = logging.getLogger(__name__)


@shared_task
def backup() -> bool:
    """Back up what was sent before the last full hour, missed hours included. Idempotent."""
    report = backups.backup()
    logger.info("backup: %s", report)
    return bool(report["ok"])


@shared_task
def trim() -> bool:
    """Take out of the database what cold storage holds for everyone. Idempotent."""
    report = trims.trim()
    logger.info("trim: %s", report)
    return bool(report["ok"])


@shared_task
def purge() -> bool:
    """Delete the objects past retention. Idempotent."""
    report = purges.purge()
    logger.info("purge: %s", report)
    return bool(report["ok"])


@shared_task
def drill() -> bool:
    """Restore the newest backup into a scratch database and compare it with the live one."""
    report = drills.drill()
    logger.info("drill: %s", report)
    return bool(report["ok"])


@shared_task
def verify() -> bool:
    """Read the objects that are due, so that each is read within a week. Idempotent."""
    report = verifying.verify(due=True)
    logger.info("verify: %s", report)
    return bool(report["ok"])


@shared_task
def make_export(export_id: str) -> str:
    """Make a user's export. Idempotent: it is made by one at a time, and once."""
    outcome = export_making.make_export(export_id=UUID(export_id))
    logger.info("export %s: %s", export_id, outcome)
    return outcome


@shared_task
def tend_exports() -> bool:
    """Begin exports again that a killed worker left, and delete those past their day."""
    report = export_making.tend_exports()
    if report["begun"] or report["deleted"] or not report["ok"]:
        logger.info("exports: %s", report)
    return bool(report["ok"])


@shared_task
def run_job(job_id: int) -> bool:
    """Run what was started from the admin. Idempotent: one at a time, and once."""
    return jobs.run_job(job_id=job_id)


@shared_task
def anchor_audit() -> bool:
    """Tell the bucket how far the audit log has got, where that is new. Idempotent."""
    try:
        return anchors.note(brisk)
    except ArchiveUnavailable:
        logger.warning("the bucket is away: how far the audit log has got is told later")
        return False
