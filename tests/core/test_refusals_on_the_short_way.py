"""A refusal on the short way is the one that DRF's way gives, and costs what the contract says."""

import json
from io import BytesIO

import pytest
from django.test.utils import override_settings

from accounts import tokens
from accounts.tests.factories import make_token, make_user
from common.cache import cache
from common.tests.servers import monitored_cache

pytestmark = pytest.mark.django_db(transaction=True)
SOME_ID = "01980f3e-7b1c-7c3a-9d55-0123456789ab"
JSON = "application/json"
# What the two ways name apart: which request it was, and what was left of the limit then.
OWN = {"X-Request-ID", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit", "Allow", "Vary"}


@pytest.fixture(scope="module")
def application():
    from config import wsgi

    return wsgi.application


@pytest.fixture(autouse=True)
def _forgotten():
    cache.execute("FLUSHDB")
    tokens.unknown.clear()


@pytest.fixture
def ada():
    return make_user("ada")


@pytest.fixture
def token(ada):
    return make_token(ada)


def ask(application, method, path, body=b"", authorization=None):
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path.partition("?")[0],
        "QUERY_STRING": path.partition("?")[2],
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "HTTP_ACCEPT": JSON,
        "CONTENT_TYPE": JSON,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
    }
    if authorization is not None:
        environ["HTTP_AUTHORIZATION"] = authorization
    told = []
    answer = b"".join(application(environ, lambda status, headers: told.append((status, headers))))
    status, headers = told[0]
    return status, {name: value for name, value in headers if name not in OWN}, json.loads(answer)


POLL, SEND, GROUP = "/get_messages", "/send_message", "/send_message_to_group"
PAGE = f"/chats/{SOME_ID}/messages/"
WRONG = [
    ("POST", POLL, b'{"cursor": "nonsense"}'),
    ("POST", POLL, b'{"cursor": 7}'),
    ("POST", POLL, b'{"limit": 0}'),
    ("POST", POLL, b'{"limit": "many"}'),
    ("POST", POLL, b'{"cursor"'),
    ("POST", POLL, b"[]"),
    ("POST", POLL, b"\xff"),
    ("POST", SEND, b""),
    ("POST", SEND, b"{}"),
    ("POST", SEND, b'{"recipient_id": "me", "text": "x"}'),
    ("POST", SEND, json.dumps({"recipient_id": SOME_ID, "text": ""}).encode()),
    ("POST", SEND, json.dumps({"recipient_id": SOME_ID, "text": "x\0"}).encode()),
    ("POST", SEND, json.dumps({"recipient_id": SOME_ID, "text": "x" * 4097}).encode()),
    ("POST", SEND, json.dumps({"recipient_id": SOME_ID, "text": "x", "client_id": ""}).encode()),
    ("POST", SEND, json.dumps({"recipient_id": SOME_ID, "text": ["x"]}).encode()),
    ("POST", SEND, json.dumps({"recipient_id": SOME_ID, "text": "x"}).encode()),
    ("POST", GROUP, json.dumps({"group_id": SOME_ID, "text": "x"}).encode()),
    ("POST", GROUP, json.dumps({"group_id": SOME_ID, "text": 7}).encode()),
    ("GET", PAGE, b""),
    ("GET", f"{PAGE}?limit=10&before=3", b""),
]


@pytest.mark.parametrize(("method", "path", "body"), WRONG)
def test_of_a_request_that_is_wrong(application, token, method, path, body):
    short = ask(application, method, path, body, f"Bearer {token}")
    # Another case of the scheme is as good, and goes DRF's way.
    usual = ask(application, method, path, body, f"bearer {token}")
    assert short == usual
    assert short[0][:3] in {"400", "404"}


@pytest.mark.parametrize(("method", "path", "body"), WRONG)
def test_of_a_token_that_is_none(application, method, path, body):
    first = ask(application, method, path, body, f"Bearer {'x' * 43}")
    assert first == ask(application, method, path, body, f"Bearer {'x' * 43}")
    short = ask(application, method, path, body, f"Bearer {'x' * 43}")
    tokens.unknown.clear()
    assert short == ask(application, method, path, body, f"bearer {'x' * 43}")
    assert short[0][:3] == "401"


@pytest.mark.parametrize("authorization", [None, "", "Basic YTpi", "Bearer a b", "Bearer "])
def test_of_a_header_that_names_nobody(application, db, authorization):
    status, headers, body = ask(application, "POST", POLL, b"{}", authorization)
    assert status == "401 Unauthorized"
    assert headers["WWW-Authenticate"] == "Bearer"
    # `/users/me/` has no short way.
    again, others, same = ask(application, "GET", "/users/me/", b"", authorization)
    assert (status, headers["WWW-Authenticate"], body) == (again, others["WWW-Authenticate"], same)


@override_settings(LIMIT_FREE_ADDRESSES=(), LIMIT_POLLS_PER_MINUTE=1)
def test_of_what_comes_too_often(application, token):
    wrong = b'{"cursor": "nonsense"}'
    assert ask(application, "POST", POLL, wrong, f"Bearer {token}")[0][:3] == "400"
    short = ask(application, "POST", POLL, wrong, f"Bearer {token}")
    assert short[0][:3] == "429"
    assert short[2]["errors"][0]["code"] == "throttled"
    assert int(short[1]["Retry-After"]) > 0


def test_a_stranger_s_token_costs_no_query_but_the_first(
    application, db, django_assert_num_queries
):
    ask(application, "POST", POLL, b"{}", f"Bearer {'y' * 43}")
    with django_assert_num_queries(0), monitored_cache() as asked:
        for method, path, body in WRONG:
            assert ask(application, method, path, body, f"Bearer {'y' * 43}")[0][:3] == "401"
    assert asked == []


def test_a_token_made_a_moment_later_works_at_once(application, ada):
    ask(application, "POST", POLL, b"{}", f"Bearer {'z' * 43}")
    assert ask(application, "POST", POLL, b"{}", f"Bearer {make_token(ada)}")[0][:3] == "200"
