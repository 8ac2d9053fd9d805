"""What is not resolved among all paths is what resolving would have found."""

import io

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.urls import URLResolver, get_resolver, include, path, re_path, resolve

from common.pages import unknown_path
from config.beginnings import beginning, beginnings
from config.wsgi import ASKED_MOST, PAGE, SOME_PAGE, Application, BareHandler

ID = "01980f3e-7b1c-7c3a-9d55-0123456789ab"
PATHS = [
    *ASKED_MOST,
    f"/chats/{ID}/messages/",
    "/chats/é/messages/",
    "/chats/a b/messages/",
    f"/chats/{ID}/messages",
    f"/chats/{ID}/",
    "/chats/",
    "/chats//messages/",
    "/chats/a/b/messages/",
    "/chats/a\n/messages/",
    "/get_messages/",
    "/users/nowhere/at/all/",
]
NONE = [
    "/nothing",
    "/nothing/at/all/",
    "/chats2/",
    "/.git/config",
    "/wp-login.php",
    "/é",
    "//",
    "/a b/",
]


@pytest.mark.parametrize("asked", PATHS)
def test_it_is_the_same_route(asked, monkeypatch):
    handler = BareHandler()
    seen = []

    def view(request, **kwargs):
        seen.append(kwargs)
        return request

    handler.shortcuts = {known: (match, view) for known, (match, _) in handler.shortcuts.items()}
    by_django = []
    monkeypatch.setattr(
        "django.core.handlers.base.BaseHandler._get_response",
        lambda _, request: by_django.append(request.path_info),
    )
    environ = {"REQUEST_METHOD": "GET", "wsgi.input": io.BytesIO()}
    request = WSGIRequest(environ | {"PATH_INFO": asked.encode().decode("latin-1")})
    handler._get_response(request)
    right = resolve(asked)
    if asked in ASKED_MOST or PAGE.fullmatch(asked):
        assert request.resolver_match is not None
        assert request.resolver_match.view_name == right.view_name
        assert request.resolver_match.kwargs == right.kwargs == seen[0]
        assert by_django == []
    else:
        assert by_django == [asked]
        assert right.view_name not in {resolve(one).view_name for one in ASKED_MOST}


@pytest.mark.parametrize("asked", NONE)
def test_a_path_that_begins_as_no_route_does_is_none(asked):
    assert resolve(asked).view_name == "unknown"
    handler = BareHandler()
    environ = {"REQUEST_METHOD": "GET", "wsgi.input": io.BytesIO()}
    request = WSGIRequest(environ | {"PATH_INFO": asked.encode().decode("latin-1")})
    answer = handler._get_response(request)
    assert isinstance(answer, HttpResponse)
    assert request.resolver_match is not None
    assert request.resolver_match.view_name == "unknown"
    assert answer.status_code == 404
    assert b'"not_found"' in answer.content


def each_route(patterns, before=""):
    for each in patterns:
        if isinstance(each, URLResolver):
            yield from each_route(each.url_patterns, before + str(each.pattern))
        elif each.name != "unknown":
            yield before + str(each.pattern)


def test_every_route_begins_as_one_does():
    known = BareHandler().beginnings
    assert known is not None
    assert {"chats", "admin", "healthz", "get_messages", "favicon", ""} <= known
    for route in each_route(get_resolver().url_patterns):
        assert beginning("/" + route.replace("^", "").replace("\\", "").strip("$")) in known, route
    assert len(known) < 60


def test_a_route_that_begins_with_anything_makes_every_path_be_looked_up():
    assert beginnings([path("<str:name>/", unknown_path)]) is None
    assert beginnings([path("", include([re_path(r"^(a|b)/", unknown_path)]))]) is None


def test_middleware_that_asks_about_views_gets_them(settings):
    settings.PROGRAM_MIDDLEWARE = ["django.middleware.csrf.CsrfViewMiddleware"]
    assert BareHandler().shortcuts == {}
    settings.PROGRAM_MIDDLEWARE = ["django.middleware.security.SecurityMiddleware"]
    assert SOME_PAGE in BareHandler().shortcuts


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("accept", "for_browsers"), [("*/*", False), ("application/json", False), ("text/html", True)]
)
def test_who_asks_for_a_token_is_answered_without_what_browsers_need(accept, for_browsers):
    for asked in ("/login", "/register"):
        body = b"{}"
        said: dict[str, str] = {}
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": asked,
            "SERVER_NAME": "testserver",
            "SERVER_PORT": "80",
            "HTTP_ACCEPT": accept,
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.url_scheme": "http",
        }
        list(Application()(environ, lambda _, headers, said=said: said.update(headers)))
        assert ("Content-Security-Policy" in said) == for_browsers
        assert said["Cache-Control"] == "no-store"
