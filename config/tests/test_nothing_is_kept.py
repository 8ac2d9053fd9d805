"""No answer is kept by a browser or a proxy on the way, whichever way it is made."""

import io
from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver
from django.urls.resolvers import URLPattern

from accounts.models import User
from accounts.tests.factories import PASSWORD, make_token, make_user
from config.wsgi import Application

pytestmark = pytest.mark.django_db(transaction=True)
SOME_ID = "01980f3e-7b1c-7c3a-9d55-0123456789ab"
HTML = "text/html,application/xhtml+xml,*/*;q=0.8"


def paths(patterns=None, before=""):
    """Return every path that there is, with some id where one goes."""
    found = []
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        text = str(pattern.pattern).removeprefix("^").removesuffix("$")
        if not isinstance(pattern, URLPattern):
            found += paths(pattern.url_patterns, before + text)
        elif "(" not in text.replace("(?P<pk>[^/.]+)", ""):
            part = text.replace("(?P<pk>[^/.]+)", SOME_ID).replace("\\Z", "")
            for name in ("<path:object_id>", "<str:chat_id>", "<id>", "<uuid:pk>"):
                part = part.replace(name, SOME_ID)
            if "<" not in part:
                found.append(f"/{before}{part}")
    return found


def by_program(method, path, token, body=b"{}"):
    """Return the status and headers of an answer to a program, as the web server would send it."""
    sent: dict[str, Any] = {}

    def start_response(status, headers):
        sent.update(status=int(status[:3]), headers=headers)

    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
    }
    b"".join(Application()(environ, start_response))
    return sent["status"], sent["headers"]


def test_there_are_paths_to_try():
    assert {"/get_messages", "/users/me/", "/admin/", "/healthz", "/login"} <= set(paths())
    assert len(paths()) > 50


def test_programs_keep_nothing():
    token = make_token(make_user("ada"))
    for path in paths():
        for method in ("GET", "POST"):
            status, headers = by_program(method, path, token)
            said = [value for name, value in headers if name.lower() == "cache-control"]
            assert len(said) == 1, (method, path)
            assert "no-store" in said[0], (method, path, status)


def test_the_fast_way_says_it_of_success_and_refusal_alike():
    token = make_token(make_user("ada"))
    for body in (b"{}", b'{"cursor": "x"}', b"nonsense"):
        _, headers = by_program("POST", "/get_messages", token, body)
        assert ("Cache-Control", "no-store") in headers
        assert [name for name, _ in headers].count("X-Content-Type-Options") == 1
    status, headers = by_program("POST", "/get_messages", "unknown")
    assert (status, ("Cache-Control", "no-store") in headers) == (401, True)


def test_browsers_keep_nothing():
    root = User.objects.create_superuser("root", password=PASSWORD)
    browser = Client(headers={"accept": HTML})
    for path in paths():
        browser.force_login(root)
        for answer in (browser.get(path), Client(headers={"accept": HTML}).get(path)):
            assert "no-store" in answer.headers["Cache-Control"], path


def test_who_comes_in_is_told_so_too():
    for path in ("/register", "/login"):
        sent = {"username": "bob", "password": PASSWORD}
        answer = Client().post(path, sent, "application/json")
        assert "token" in answer.json()
        assert answer.headers["Cache-Control"] == "no-store"


def test_files_of_the_pages_may_be_kept():
    assert "no-store" not in Client().get("/static/common/strata.svg").headers["Cache-Control"]
