"""Lines of the log about requests: those that were slow, and all others that ACCESS_LOG names."""

from __future__ import annotations

import logging

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

access = logging.getLogger("strata.access")
slow = logging.getLogger("strata.slow")

HOT = frozenset(
    {
        "get_messages",
        "send_message",
        "send_message_to_group",
        "chat_messages",
        "healthz",
        "readyz",
        "metrics",
    }
)
"""Routes that are asked so often that a line for each would cost as much as the answer."""
BAD = 400


def tell(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    """Write the line of a request that was slow, or that ACCESS_LOG names."""
    if settings.SLOW_REQUEST_MS and seconds * 1000 >= settings.SLOW_REQUEST_MS:
        logger, level, words = slow, logging.WARNING, "slow request: "
    elif settings.ACCESS_LOG == "off" or (
        settings.ACCESS_LOG == "cold" and _hot(request, response)
    ):
        return
    else:
        logger, level, words = access, logging.INFO, ""
    match = request.resolver_match
    logger.log(
        level,
        "%s%s %s %d in %.1f ms",
        words,
        request.method,
        (match and match.view_name) or "none",
        response.status_code,
        seconds * 1000,
        extra={
            "method": request.method,
            "status": response.status_code,
            "duration_ms": round(seconds * 1000, 1),
        },
    )


def _told(request: HttpRequest, response: HttpResponseBase) -> bool:
    which = settings.ACCESS_LOG
    return which == "all" or (which == "cold" and not _hot(request, response))


def _hot(request: HttpRequest, response: HttpResponseBase) -> bool:
    match = request.resolver_match
    if match is None:
        # A file, or a path that is answered before it is looked up.
        return response.status_code < BAD
    return match.view_name in HOT
