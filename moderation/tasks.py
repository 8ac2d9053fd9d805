"""What Celery has done for moderation: see CELERY_BEAT_SCHEDULE; each may run twice at once."""

import logging

from celery import shared_task

from moderation import cases, redaction

logger = logging.getLogger(__name__)


@shared_task
def redact() -> int:
    """Carry out the redactions that wait. Idempotent."""
    done = redaction.carry_out()
    if done:
        logger.info("%d messages redacted", done)
    return done


@shared_task
def forget_reported_texts() -> int:
    """Forget the texts of reports that were closed long enough ago. Idempotent."""
    forgotten = cases.forget_texts()
    if forgotten:
        logger.info("the texts of %d closed reports forgotten", forgotten)
    return forgotten
