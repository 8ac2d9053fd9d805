"""The two floors: a Django view that returns a constant, and one with one round trip to Valkey.

Served under the same web server settings as Strata, without its settings, middleware or apps, so
that a ratio to the first says how much of a request is the framework's and how much is ours.
"""

from __future__ import annotations

import os

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(
    SECRET_KEY="no-secret-is-kept-here",  # noqa: S106  # nosec B106 # a measurement that keeps nothing
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[],
    CACHES={
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": os.environ["REDIS_URL"],
            "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"},
        }
    },
    CACHE_BREAKER_MS=1000,
)
django.setup()

from common.cache import cache  # noqa: E402

BODY = b'{"floor":true}'


def constant(request: HttpRequest) -> HttpResponse:
    """Answer what is always the same."""
    return HttpResponse(BODY, content_type="application/json")


def round_trip(request: HttpRequest) -> HttpResponse:
    """Ask Valkey once, the way Strata does."""
    cache.execute("GET", "bench-floor")
    return HttpResponse(BODY, content_type="application/json")


urlpatterns = [path("constant", constant), path("valkey", round_trip)]
application = get_wsgi_application()
