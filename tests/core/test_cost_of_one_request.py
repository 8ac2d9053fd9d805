"""What one request may cost: every route, each part of a request at its longest and at half that.

The time is the CPU time of the thread that answers, the least of some tries. A route that is not
listed anywhere is asked nevertheless: they are taken from the URLs themselves.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pytest
from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver, resolve
from django.urls.resolvers import RoutePattern

from accounts import services
from accounts.views import OpenVerb
from common import parsers, request_gate
from common.cache import cache
from common.views import Verb

# One transaction for each test would last longer than any may.
pytestmark = pytest.mark.django_db(transaction=True)

SOME_ID = "01980f3e-7b1c-7c3a-9d55-0123456789ab"
FORM = request_gate.FORM
JSON = request_gate.JSON
MS = 1000

# Beyond the idle poll: with a login, and without one.
MOST_MS = 50.0
MOST_OF_A_STRANGER_MS = 10.0
MOST_TIMES = 2.5
# What is shorter than this may double for any reason.
FLOOR_MS = 4.0

RUNS = {
    "letters": "a", "spaces": " ", "marks": "\u0301\u0316", "bidi": "\u202e\u2067", "digits": "7",
    "escapes": "%61", "bytes that are no text": "%ff", "commas": "a,", "semicolons": "a=b;",
    "ampersands": "a=1&", "quotes": '"', "backslashes": "\\", "slashes": "/", "dots": "../",
    "brackets": "[", "context": " CONTEXT:", "equals": "=",
}  # fmt: skip
"""What the parts of a request are filled with."""

HEADERS = (
    "HTTP_COOKIE", "HTTP_ACCEPT", "HTTP_RANGE", "HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_HOST", "HTTP_X_REQUEST_ID", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE",
    "HTTP_ACCEPT_LANGUAGE", "HTTP_ACCEPT_ENCODING", "HTTP_REFERER", "HTTP_ORIGIN",
    "HTTP_USER_AGENT", "HTTP_TRACEPARENT", "HTTP_X_CSRFTOKEN", "HTTP_AUTHORIZATION", "CONTENT_TYPE",
)  # fmt: skip
# One that is longer is not looked at.
TYPE_CHARS = request_gate.TYPE_MAX_CHARS


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request cost and what came of it."""

    ms: float
    status: int
    size: int


@pytest.fixture(scope="module")
def application() -> Callable[..., Any]:
    from config import wsgi

    return wsgi.application


@pytest.fixture(autouse=True)
def _no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.execute("FLUSHDB")
    monkeypatch.setattr(settings, "ALLOWED_HOSTS", ["*"])


@pytest.fixture
def token() -> str:
    return services.register(username="ada").token


def ask(application: Callable[..., Any], body: bytes = b"", /, **more: Any) -> Asked:
    """Send a request; return what the cheapest try took, of several where the first was not."""
    found = once(application, body, more)
    for _ in range(3):
        if found.ms < FLOOR_MS:
            break
        found = min(found, once(application, body, more), key=lambda one: one.ms)
    return found


def once(application: Callable[..., Any], body: bytes, more: dict[str, Any]) -> Asked:
    """Send a request."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
        **more,
    }
    statuses: list[int] = []

    def begin(line: str, _headers: Any) -> None:
        statuses.append(int(line[:3]))

    started = time.thread_time()
    answer = application(environ, begin)
    size = sum(map(len, answer))
    used = (time.thread_time() - started) * MS
    if hasattr(answer, "close"):
        answer.close()
    return Asked(used, statuses[0], size)


def routes(resolver: Any = None, before: str = "/") -> Iterator[str]:
    """Yield a path of each route that is named by a pattern of Django's own kind."""
    for entry in (resolver or get_resolver()).url_patterns:
        if not isinstance(entry.pattern, RoutePattern):
            continue
        text = re.sub("<[^>]+>", SOME_ID, str(entry.pattern))
        if isinstance(entry, URLResolver):
            yield from routes(entry, before + text)
        elif isinstance(entry, URLPattern):
            yield before + text


ROUTES = sorted(set(routes()))
OPEN = [path for path in ROUTES if not path.startswith("/admin/")]
# Each model of the admin has the same few views, which let a stranger no further than the login.
ADMIN = [path for path in ROUTES if path.startswith(("/admin/accounts/user/", "/admin/log"))]


def filled(run: str, length: int) -> str:
    """Return so much of a run, as the bytes of a header are handed on."""
    text = run.encode().decode("latin-1")
    return (text * (length // len(text) + 1))[:length]


def crowded(run: str, share: float) -> dict[str, str]:
    """Return a head in which each header is as long as it may be."""
    longest = {"HTTP_ACCEPT": request_gate.ACCEPT_MAX_CHARS, "CONTENT_TYPE": TYPE_CHARS}
    head = {
        name: filled(run, int(share * longest.get(name, request_gate.HEADER_MAX_CHARS)))
        for name in HEADERS
    }
    head["QUERY_STRING"] = filled(run, int(share * request_gate.QUERY_MAX_CHARS))
    return head


def check(half: Asked, whole: Asked, most: float, what: Any) -> None:
    """Demand that twice as much takes about twice as long, and never long."""
    assert whole.status < 500, what
    assert whole.ms <= most, (what, half, whole)
    assert whole.ms <= max(FLOOR_MS, MOST_TIMES * half.ms), (what, half, whole)
    # An answer grows with what is asked for, not with what is sent.
    assert whole.size < 300_000, (what, whole)


@pytest.mark.parametrize("accept", [JSON, "text/html"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_a_plain_request_of_a_stranger(application: Any, method: str, accept: str) -> None:
    for path in ROUTES:
        asked = {"PATH_INFO": path, "REQUEST_METHOD": method, "HTTP_ACCEPT": accept}
        # From an address that is not free, so that figures are made once for many who ask.
        cache.execute("FLUSHDB")
        plain = ask(application, **asked, REMOTE_ADDR="203.0.113.7")
        assert plain.status < 500, asked
        assert plain.ms <= MOST_OF_A_STRANGER_MS, (asked, plain)


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS.keys())
def test_a_long_head(application: Any, run: str) -> None:
    for path in [*OPEN, *ADMIN, "/nowhere", "/static/nowhere.css"]:
        asked = {"PATH_INFO": path, "REQUEST_METHOD": "GET"}
        half = ask(application, **asked, **crowded(run, 0.5))
        whole = ask(application, **asked, **crowded(run, 1))
        check(half, whole, MOST_OF_A_STRANGER_MS, (path, run))


@pytest.mark.parametrize("name", [*HEADERS, "QUERY_STRING", "PATH_INFO", "HTTP_HOST"])
def test_a_head_longer_than_any_may_be(application: Any, name: str) -> None:
    for run in RUNS.values():
        asked = {name: filled(run, 1000 * 1000)}
        whole = ask(application, **{"PATH_INFO": "/users/me/", **asked})
        check(whole, whole, MOST_OF_A_STRANGER_MS, (name, run))


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS.keys())
def test_a_long_path(application: Any, run: str) -> None:
    for before in ("/", "/users/", "/chats/", "/static/", "/admin/", "/admin/accounts/user/"):
        for after in ("", "/", "/messages/"):
            found = [
                ask(application, PATH_INFO=before + filled(run, length) + after)
                for length in (request_gate.PATH_MAX_CHARS // 2, request_gate.PATH_MAX_CHARS - 40)
            ]
            check(found[0], found[1], MOST_OF_A_STRANGER_MS, (before, run, after))


MIB = 1024 * 1024


def json_bodies(share: float) -> dict[str, bytes]:
    """Return bodies of JSON that take long to read, as long as they may be."""
    length = int(share * (MIB - 40))
    pieces = {
        "lists": b"[],", "objects": b"{},", "numbers": b"0,", "small objects": b'{"a":[{}]},',
        "texts": b'"abcd",', "broken numbers": b"1.1e-300,",
    }  # fmt: skip
    found = {
        name: b'{"username": [' + piece * (length // len(piece)) + b"0]}"
        for name, piece in pieces.items()
    }
    found["names"] = b"{%b}" % b",".join(b'"%x":0' % n for n in range(length // 10))
    found["deep"] = b'{"username":' + b"[" * (length // 2) + b"]" * (length // 2) + b"}"
    found["spaces"] = b"{" + b" " * length + b"}"
    found["not ended"] = b'{"username": "' + b"a" * length
    # As many values as are read at all.
    fits = int(share * parsers.VALUES_MAX / 2)
    found["as many lists as may be"] = b'{"username": [' + b"[]," * fits + b"[]]}"
    return found


@pytest.mark.parametrize("name", json_bodies(0.01))
@pytest.mark.parametrize("authorization", [None, "Bearer nobody's"])
def test_a_long_body_of_a_stranger(application: Any, name: str, authorization: str | None) -> None:
    head = {} if authorization is None else {"HTTP_AUTHORIZATION": authorization}
    half, whole = json_bodies(0.5)[name], json_bodies(1)[name]
    for path in [*OPEN, "/admin/login/", "/admin/accounts/user/", "/nowhere"]:
        asked = {"PATH_INFO": path, "REQUEST_METHOD": "POST", "CONTENT_TYPE": JSON, **head}
        check(
            ask(application, half, **asked),
            ask(application, whole, **asked),
            MOST_OF_A_STRANGER_MS,
            (path, name),
        )


def fields() -> list[tuple[str, str]]:
    """Return every field of every verb, as the serializers of the routes have them."""
    found = []
    for path in OPEN:
        view = getattr(resolve(path).func, "view_class", None)
        if view is not None and issubclass(view, Verb):
            found += [(path, name) for name in view.serializer_class().fields]
    return found


@pytest.mark.parametrize(("path", "field"), fields())
def test_a_long_field(application: Any, token: str, path: str, field: str) -> None:
    view: Any = resolve(path).func
    open_to_all = issubclass(view.view_class, OpenVerb)
    most = MOST_OF_A_STRANGER_MS if open_to_all else MOST_MS
    asked = {
        "PATH_INFO": path,
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": JSON,
        "HTTP_AUTHORIZATION": f"Bearer {token}",
    }
    others = {name: value for name, value in view.view_class.sample.items() if name != "password"}
    for run in RUNS.values():
        found = [
            ask(application, json.dumps({**others, field: value}).encode(), **asked)
            for value in (run * (MIB // 24 // len(run)), run * (MIB // 12 // len(run)))
        ]
        check(found[0], found[1], most, (path, field, run))
    values: list[Any] = [0, "", SOME_ID, [], {}, None]
    for value in values:
        many = [
            ask(application, json.dumps({**others, field: [value] * count}).encode(), **asked)
            for count in (4000, 8000)
        ]
        check(many[0], many[1], most, (path, field, value))
        assert many[1].size < 3000, (path, field, value, many[1])


def test_forms_in_parts_and_other_charsets_cost_nothing(application: Any) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="username"\r\n\r\n'
    body = part + b"a-" * (MIB // 2 - 100) + b"\r\n--x--"
    for path in ("/browse/login/", "/admin/login/", "/register", "/nowhere"):
        for kind in ("multipart/form-data; boundary=x", f"{FORM}; charset=punycode"):
            for charset in ("", "; charset=punycode", "; charset*=punycode''x"):
                found = ask(
                    application, body, PATH_INFO=path, REQUEST_METHOD="POST",
                    CONTENT_TYPE=kind + charset,
                )  # fmt: skip
                assert found.status in {413, 415}
                assert found.ms <= MOST_OF_A_STRANGER_MS, (path, kind, charset, found)


def test_the_document_is_made_once(application: Any) -> None:
    for accept in ("application/json", "application/yaml", "*/*", "a/b," * 24_000):
        once_made = ask(application, PATH_INFO="/schema/", HTTP_ACCEPT=accept)
        assert once_made.status == 200
        assert once_made.ms <= MOST_OF_A_STRANGER_MS, accept
