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
NO_ROUTE = "none"


def named(route: str, status: int) -> bool:
    """Say whether ACCESS_LOG names the answers of a route."""
    which = settings.ACCESS_LOG
    if which != "cold":
        return which == "all"
    # Without a route: a file, or a path that is answered before it is looked up.
    return status >= BAD if route == NO_ROUTE else route not in HOT


def tell(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    """Write the line of a request that was slow, or that ACCESS_LOG names."""
    logger, level, words = access, logging.INFO, ""
    if settings.SLOW_REQUEST_MS and seconds * 1000 >= settings.SLOW_REQUEST_MS:
        logger, level, words = slow, logging.WARNING, "slow request: "
    match = request.resolver_match
    logger.log(
        level,
        "%s%s %s %d in %.1f ms",
        words,
        request.method,
        (match and match.view_name) or NO_ROUTE,
        response.status_code,
        seconds * 1000,
        extra={
            "method": request.method,
            "status": response.status_code,
            "duration_ms": round(seconds * 1000, 1),
        },
    )
