"""What Celery beat has done for accounts: see CELERY_BEAT_SCHEDULE."""

import logging

from celery import shared_task

from accounts import services, sessions, standing, tokens
from common.cache import CacheUnavailable

logger = logging.getLogger(__name__)


@shared_task
def save_last_used() -> int:
    """Carry the noted uses of tokens from the cache into the rows. Idempotent; loses nothing.

    A note is dropped only after its commit and only if it is unchanged, so this may die anywhere
    and run twice at once.
    """
    saved = 0
    try:
        for uses in tokens.noted_uses():
            saved += services.save_last_used(uses=uses)
            tokens.drop_uses(uses)
    except CacheUnavailable as error:
        logger.info("last uses of tokens stay in the cache for the next run: %s", error)
    logger.info("last use of %d tokens saved", saved)
    return saved


@shared_task
def delete_dead_tokens() -> int:
    """Delete the rows of tokens that ended long ago. Idempotent."""
    deleted = services.delete_dead_tokens()
    logger.info("%d dead tokens deleted", deleted)
    return deleted


@shared_task
def clear_sessions() -> int:
    """Delete the rows of browsers' sessions that have expired. Idempotent."""
    cleared = sessions.clear_expired()
    logger.info("%d expired sessions deleted", cleared)
    return cleared


@shared_task
def end_bans() -> int:
    """Let in those whose ban has ended. Idempotent; a login lets them in without it too."""
    ended = standing.end_bans()
    if ended:
        logger.info("%d bans ended", ended)
    return ended
