"""What ends in a refusal or a redirect takes from its address's visits, and keeps nobody who is in."""

from io import BytesIO
from typing import Any

import pytest
from django.test import Client

from accounts import services
from common.cache import cache

# One transaction for each test would last longer than any may.
pytestmark = pytest.mark.django_db(transaction=True)

ABROAD = "203.0.113.9"
JSON = "application/json"


@pytest.fixture(autouse=True)
def _three_visits(settings: Any) -> None:
    settings.LIMIT_VISITS_PER_MINUTE = 3
    cache.execute("FLUSHDB")


def ask(path: str, body: bytes = b"", method: str = "POST", **more: str) -> tuple[int, Any]:
    """Send a request from abroad through the handlers that the web server calls."""
    from config import wsgi

    environ: dict[str, Any] = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": "", "REMOTE_ADDR": ABROAD,
        "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000", "HTTP_HOST": "127.0.0.1",
        "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "wsgi.input": BytesIO(body),
        "CONTENT_TYPE": JSON, "CONTENT_LENGTH": str(len(body)), **more,
    }  # fmt: skip
    answers: list[tuple[int, Any]] = []
    response = wsgi.application(
        environ, lambda line, headers: answers.append((int(line[:3]), dict(headers)))
    )
    b"".join(response)
    return answers[0]


REFUSED: dict[str, tuple[int, dict[str, Any]]] = {
    "no such path": (404, {"path": "/nowhere"}),
    "no such path, with a token": (404, {"path": "/nowhere", "HTTP_AUTHORIZATION": "Bearer x"}),
    "no such method": (405, {"path": "/register", "method": "DELETE"}),
    "another type": (415, {"path": "/register", "CONTENT_TYPE": "text/plain", "body": b"x"}),
    "another charset": (
        415,
        {"path": "/register", "CONTENT_TYPE": f"{JSON}; charset=zlib", "body": b"{}"},
    ),
    "no JSON": (400, {"path": "/register", "body": b"{"}),
    "a wrong field": (400, {"path": "/login", "body": b'{"username": 5}'}),
    "a body that is too long": (413, {"path": "/", "CONTENT_LENGTH": "5000000"}),
    "a body that ends early": (400, {"path": "/get_messages", "CONTENT_LENGTH": "500"}),
    "nobody's token": (401, {"path": "/get_messages", "HTTP_AUTHORIZATION": "Bearer nobody's"}),
    "no token": (401, {"path": "/chats/", "method": "GET"}),
    "a form without its token": (403, {"path": "/admin/login/"}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_after_so_many_it_is_a_429(name: str) -> None:
    status, asked = REFUSED[name]
    assert [ask(**asked)[0] for _ in range(5)] == [status] * 3 + [429] * 2
    assert int(ask(**asked)[1]["Retry-After"]) > 0
    # Every other refusal takes from the same, and another address from its own.
    assert ask("/nowhere")[0] == 429
    assert ask("/nowhere", REMOTE_ADDR="203.0.113.10")[0] == 404


LED_ELSEWHERE: dict[str, tuple[int, dict[str, Any]]] = {
    "the admin": (302, {"path": "/admin/"}),
    "a search in the admin": (302, {"path": "/admin/accounts/user/", "QUERY_STRING": "q=a"}),
    "a shortcut of the admin": (302, {"path": "/admin/r/1/2/"}),
    "the admin's words": (302, {"path": "/admin/jsi18n/"}),
    "an icon": (302, {"path": "/favicon.ico"}),
}


@pytest.mark.parametrize("name", LED_ELSEWHERE)
def test_so_is_what_is_led_elsewhere(name: str) -> None:
    status, asked = LED_ELSEWHERE[name]
    asked = {"method": "GET", **asked}
    assert [ask(**asked)[0] for _ in range(5)] == [status] * 3 + [429] * 2
    assert int(ask(**asked)[1]["Retry-After"]) > 0


def test_a_file_that_a_browser_has_already_takes_nothing() -> None:
    path = "/static/common/strata.svg"
    tag = ask(path, method="GET")[1]["Last-Modified"]
    found = [ask(path, method="GET", HTTP_IF_MODIFIED_SINCE=tag)[0] for _ in range(6)]
    assert found == [304] * 6
    assert ask("/nowhere")[0] == 404


def test_who_has_a_session_takes_from_their_own_reads(settings: Any) -> None:
    settings.LIMIT_READS_PER_MINUTE = 5
    client = Client()
    client.force_login(services.register(username="ada").user)
    cookie = f"sessionid={client.cookies['sessionid'].value}"
    while ask("/nowhere")[0] != 429:
        pass
    found = [ask("/admin/", method="GET", HTTP_COOKIE=cookie)[0] for _ in range(7)]
    assert found == [302] * 5 + [429] * 2


def test_this_machine_is_free() -> None:
    assert {ask("/nowhere", REMOTE_ADDR="127.0.0.1")[0] for _ in range(6)} == {404}


def test_whoever_has_come_in_is_counted_by_that_alone() -> None:
    token = services.register(username="ada").token
    assert ask("/nowhere")[0] == 404
    own: dict[str, Any] = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    for _ in range(6):
        assert ask("/send_message", b"{", **own)[0] == 400
        assert ask("/get_messages", b"{}", **own)[0] == 200
    # A neighbour's rubbish keeps them from nothing.
    while ask("/nowhere")[0] != 429:
        pass
    assert ask("/get_messages", b"{}", **own)[0] == 200
