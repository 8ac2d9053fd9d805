"""Lets whatever is recorded during a browser's request know whose request it is."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from audit.actors import acting


class AuditMiddleware:
    """Stands after authentication. Programs' requests (`config/wsgi.py`) don't pass it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, with `audit.actors.current` knowing the request."""
        with acting(request):
            return self.get_response(request)
