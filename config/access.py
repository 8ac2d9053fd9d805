"""Who may read /metrics: everybody, until METRICS_TOKEN or METRICS_ALLOWED says who."""

from __future__ import annotations

from hmac import compare_digest

from django.conf import settings
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.request import Request

from accounts.authentication import bearer_token
from common.addresses import comes_from


def check_scraper(request: Request) -> None:
    """Raise NotAuthenticated or PermissionDenied unless the request may read the figures.

    The address is the client's as the trusted proxies tell it, so that a proxy inside an allowed
    network does not open them to whoever comes through it.
    """
    token, allowed = settings.METRICS_TOKEN, settings.METRICS_ALLOWED
    if not token and not allowed:
        return
    if allowed and comes_from(request.META, tuple(allowed)):
        return
    if not token:
        raise PermissionDenied("This address may not read the figures.")
    sent = bearer_token(request.META.get("HTTP_AUTHORIZATION", "")) or ""
    if not compare_digest(sent.encode("utf-8", "surrogateescape"), token.encode()):
        raise NotAuthenticated("The figures are for who sends the token of METRICS_TOKEN.")
