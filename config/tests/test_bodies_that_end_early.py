"""A body that ends before it should is a 400, and nothing is done: behind nginx, and without it."""

import contextlib
import json
import secrets
import socket

import httpx
import pytest


@pytest.fixture(scope="module")
def people(live_stack):
    """A client of the stack with a user's token, and another user's id."""
    with httpx.Client(base_url=live_stack.base_url, timeout=30, trust_env=False) as client:
        names = [f"e{secrets.token_hex(6)}" for _ in range(2)]
        one, other = (client.post("/register", json={"username": name}).json() for name in names)
        client.headers["Authorization"] = f"Bearer {one['token']}"
        yield client, other["user_id"]


@pytest.fixture(params=["nginx", "the web server"])
def door(request, live_stack):
    """Connect to one of the two that take requests."""

    def connect():
        if request.param == "nginx":
            return socket.create_connection(("127.0.0.1", live_stack.port), timeout=30)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
        connection.connect(str(live_stack.data_dir / "run" / "web.sock"))
        return connection

    return connect


def status_of(connection, sent, *, end=True):
    """Send bytes and the end of the stream; return the status, None where there was no answer."""
    with connection:
        connection.sendall(sent)
        if end:
            connection.shutdown(socket.SHUT_WR)
        got = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                got += chunk
    return int(got.split(b" ", 2)[1]) if got else None


def head(people, path, *more):
    client, _ = people
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: {client.headers['Authorization']}",
        "Content-Type: application/json",
        "Connection: close",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def sent_to(people):
    """Return the texts that the other user has been sent."""
    chats = people[0].post("/get_messages", json={}).json()["chats"]
    return [message["text"] for chat in chats for message in chat["messages"]]


def cut(people, text):
    """Return a whole send's body, in one chunk."""
    body = json.dumps({"recipient_id": people[1], "text": text}).encode()
    return body, b"%x\r\n%b\r\n" % (len(body), body)


def test_a_body_shorter_than_its_length(people, door):
    body, _ = cut(people, "short")
    for path, some in (("/get_messages", b"{}"), ("/send_message", body), ("/nowhere", b"{}")):
        answer = status_of(door(), head(people, path, f"Content-Length: {len(some) + 9}") + some)
        # nginx may take the end of the stream for the end of the client.
        assert answer in {400, None}
    assert "short" not in sent_to(people)


@pytest.mark.parametrize("end", ["", "5\r\nabc", "zz\r\n", "0", "-1\r\n\r\n", "\r\n\r\n"])
def test_chunks_that_do_not_come_to_their_end(people, door, end):
    _, chunk = cut(people, "cut")
    sent = head(people, "/send_message", "Transfer-Encoding: chunked") + chunk + end.encode()
    assert status_of(door(), sent) in {400, None}
    assert "cut" not in sent_to(people)


def test_chunks_that_come_to_their_end_are_taken_by_nginx(people, live_stack):
    _, chunk = cut(people, "whole")
    sent = head(people, "/send_message", "Transfer-Encoding: chunked") + chunk + b"0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", live_stack.port), timeout=30) as connection:
        assert status_of(connection, sent, end=False) == 201
    assert "whole" in sent_to(people)


def test_the_web_server_itself_takes_none_in_chunks(people, live_stack):
    _, chunk = cut(people, "direct")
    sent = head(people, "/send_message", "Transfer-Encoding: chunked") + chunk + b"0\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(live_stack.data_dir / "run" / "web.sock"))
        assert status_of(connection, sent, end=False) == 400
    assert "direct" not in sent_to(people)
