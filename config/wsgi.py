"""The WSGI application that the web server serves.

Two handlers share the URLs and views. Programs come with an `Authorization` header and get the
bare one: sessions, CSRF, messages and the signals around a request serve browsers alone and cost a
poll more than everything else it does. Whatever comes without the header gets Django as usual.
"""

import os
import re
import sys
import threading
from collections.abc import Iterable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, get_resolver, resolve
from django.utils.functional import cached_property
from environs import Env

from common import database_identity, request_gate
from common.bulkheads import bulkheads
from common.context import REQUEST_ID_HEADER
from common.headers import unsaid
from config import counting, options, traced
from config.beginnings import beginning, beginnings
from messaging.tiers import warm

# Before the URLs are loaded, and with them what counts.
counting.share(settings.DATA_DIR / "run")
django.setup(set_prefix=False)
traced.start("web")
bulkheads.serve_with(options.WEB_THREADS.read(Env()))
SWITCH_SECONDS = 0.001
# A thread that computes (a cold page, a long list) keeps the interpreter for as long as this from
# one that has just heard from the cache or the database; a poll waits for it two or three times, a
# send more often.
sys.setswitchinterval(SWITCH_SECONDS)

LONGEST_TRANSACTION_MS = 10_000
if not 0 < settings.DB_TRANSACTION_TIMEOUT_MS <= LONGEST_TRANSACTION_MS:
    # A message committed long after its date would be behind cursors that have passed it.
    sys.exit(
        f"DB_TRANSACTION_TIMEOUT_MS is {settings.DB_TRANSACTION_TIMEOUT_MS}; to serve it must be "
        f"from 1 to {LONGEST_TRANSACTION_MS}."
    )

if not settings.ARCHIVE_KEY:
    # Found out now, not by the first backup or the first second factor.
    sys.exit(
        "ARCHIVE_KEY is not set: give a long random one, and keep a copy elsewhere "
        "(see docs/operations.md)."
    )

PAGE = re.compile(r"/chats/([^/]+)/messages/")
NO_PATH = "/none-of-ours"
SOME_PAGE = "/chats/some/messages/"
ASKED_MOST = ("/get_messages", "/send_message", "/send_message_to_group", "/login", SOME_PAGE)
# These take a request and an answer, and don't ask which view there is between.
MIDDLEWARE_AROUND_ALL = frozenset({"django.middleware.security.SecurityMiddleware"})

# They need a session, whatever a request to them looks like.
BROWSERS_ONLY = ("/admin/", "/browse/")
# Programs ask them before they have a token, and strangers as often as they like: cheap to refuse.
FOR_TOKENS = frozenset({"/login", "/register"})


def _with(match: ResolverMatch, kwargs: dict[str, Any]) -> ResolverMatch:
    """Return a route as it is found for other arguments; Django's class can't be copied."""
    other = ResolverMatch.__new__(ResolverMatch)
    other.__dict__.update(match.__dict__, kwargs=kwargs, captured_kwargs=kwargs)
    return other


class BareHandler(counting.CountingHandler):
    """Django's handler without the middleware that only browsers need, and without signals."""

    def load_middleware(self, is_async: bool = False) -> None:
        """Load `PROGRAM_MIDDLEWARE` in place of `MIDDLEWARE`."""
        usual = settings.MIDDLEWARE
        settings.MIDDLEWARE = settings.PROGRAM_MIDDLEWARE
        try:
            super().load_middleware(is_async)
        finally:
            settings.MIDDLEWARE = usual

    def _get_response(self, request: HttpRequest) -> HttpResponseBase:
        """Answer inside the middleware: at once where the path is one of those asked most often.

        To resolve a path among all of them costs an idle poll a tenth of its time.
        """
        path = request.path_info
        page = PAGE.fullmatch(path) if path.startswith("/chats/") else None
        found = self.shortcuts.get(path if page is None else SOME_PAGE)
        if request_gate.REFUSED in request.META:
            return super()._get_response(request)
        if found is None:
            if self.beginnings is None or beginning(path) in self.beginnings:
                return super()._get_response(request)
            found = self.unknown
        match, view = found
        if page is None:
            request.resolver_match = match
            response: HttpResponseBase = view(request)
        else:
            chat_id = page[1]
            request.resolver_match = _with(match, {"chat_id": chat_id})
            response = view(request, chat_id=chat_id)
        if not getattr(response, "is_rendered", True):
            response = response.render()  # type: ignore[attr-defined]
        return response

    @cached_property
    def beginnings(self) -> frozenset[str] | None:
        """Return how the paths of routes begin; None where each path has to be looked up."""
        return beginnings(get_resolver().url_patterns) if self.shortcuts else None

    @cached_property
    def unknown(self) -> tuple[ResolverMatch, Any]:
        """Return what answers a path that is none."""
        match = resolve(NO_PATH)
        return match, match.func

    @cached_property
    def shortcuts(self) -> dict[str, tuple[ResolverMatch, Any]]:
        """Return the paths asked most often, as they resolve, with their views."""
        if any(name not in MIDDLEWARE_AROUND_ALL for name in settings.PROGRAM_MIDDLEWARE):
            # It may want to be asked about a view, which is left out here.
            return {}
        return {path: (match := resolve(path), match.func) for path in ASKED_MOST}

    def __call__(  # type: ignore[override]
        self, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        """Answer a request."""
        request = counting.Request(environ)
        response = self.get_response(request)
        if isinstance(response, HttpResponse):
            # Else the server would send the answer in chunks.
            response.headers["Content-Length"] = str(len(response.content))
        start_response(
            f"{response.status_code} {response.reason_phrase}",
            [
                *response.items(),
                *unsaid(response.headers),
                *(("Set-Cookie", cookie.OutputString()) for cookie in response.cookies.values()),
                (REQUEST_ID_HEADER, request.request_id),  # type: ignore[attr-defined]
            ],
        )
        # What Django does by signals at a request's end, where there is something to do.
        if connection.errors_occurred:
            connection.close_if_unusable_or_obsolete()
        if isinstance(response, HttpResponse):
            return (response.content,)
        return response


def _names_nobody(environ: dict[str, Any]) -> bool:
    """Say whether it is a request of a program that has no token, or asks for one."""
    path = environ["PATH_INFO"]
    if environ["REQUEST_METHOD"] != "POST":
        return False
    return path in FOR_TOKENS or (path in ASKED_MOST and "HTTP_COOKIE" not in environ)


class Application:
    """Gives each request to its handler."""

    def __init__(self) -> None:
        self.bare = BareHandler()
        self.usual = counting.UsualHandler()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        request_gate.check(environ)
        if (
            ("HTTP_AUTHORIZATION" in environ or _names_nobody(environ))
            and "text/html" not in environ.get("HTTP_ACCEPT", "")
            and not environ["PATH_INFO"].startswith(BROWSERS_ONLY)
        ):
            return self.bare(environ, start_response)
        return self.usual(environ, start_response)


database_identity.watch()
application = Application()
# Beside the first requests, which do without it.
threading.Thread(target=warm, name="warm", daemon=True).start()
