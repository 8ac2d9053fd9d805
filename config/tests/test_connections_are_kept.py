"""A connection serves one request after the other, whatever became of the first one's body."""

import http.client
import json

import pytest

from config.stack.live import LiveStack

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def connection(live_stack: LiveStack):
    found = http.client.HTTPConnection("127.0.0.1", live_stack.port, timeout=10)
    # Else it would quietly open another one.
    found.auto_open = 0
    found.connect()
    yield found
    found.close()


def ask(connection, method, path, body=None, headers=None):
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/get_messages", JSON, 401),
        ("/get_messages", JSON | {"Authorization": "Bearer x"}, 401),
        ("/nowhere", JSON, 404),
        ("/nowhere", JSON | {"Authorization": "Bearer x"}, 404),
        ("/users/me/", JSON, 401),
        ("/healthz", JSON, 405),
        ("/admin/", {}, 403),
    ],
)
def test_a_body_that_nobody_reads_is_no_harm_to_the_next_request(connection, path, headers, status):
    for _ in range(3):
        found, body, _ = ask(connection, "POST", path, b"x" * 100_000, headers)
        assert found == status, body
    assert ask(connection, "GET", "/healthz")[0] == 200


def test_an_answer_to_too_large_a_body_says_that_the_connection_ends(connection):
    connection.putrequest("POST", "/register")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(2 * 1024 * 1024))
    connection.endheaders()
    connection.send(b"{")
    answer = connection.getresponse()
    body = json.loads(answer.read())
    assert (answer.status, body["errors"][0]["code"]) == (413, "body_too_large")
    assert answer.headers["Connection"].lower() == "close"
