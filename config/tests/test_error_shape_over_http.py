"""Whatever is sent to the running server: a 4xx in the one shape, never HTML to a program."""

import json
import socket

import httpx
import pytest

VERBS = ("/send_message", "/register", "/get_messages")
JSON = {"Content-Type": "application/json"}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture(scope="module")
def server(live_stack):
    with httpx.Client(base_url=live_stack.base_url, timeout=10) as client:
        yield client


@pytest.fixture(scope="module")
def token(server):
    name = f"prober{id(server)}"
    return server.post("/register", json={"username": name}).json()["token"]


@pytest.fixture(params=["a program", "nobody"])
def headers(request, token):
    return {"Authorization": f"Bearer {token}"} if request.param == "a program" else {}


def in_shape(response, *statuses):
    assert response.status_code in statuses, response.text[:200]
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert set(body) == {"type", "errors"}
    assert body["errors"]
    for error in body["errors"]:
        assert set(error) == {"code", "detail", "attr"}
        assert isinstance(error["code"], str)
        assert isinstance(error["detail"], str)
    return body


def raw(live_stack, request):
    """Send bytes as they are; return the status and what came."""
    with socket.create_connection(("127.0.0.1", live_stack.port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return int(answer.split(b" ", 2)[1]), answer


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/xml", "nonsense", ""])
@pytest.mark.parametrize(
    "path", ["/nowhere", "/chats", "/send_message/", "/users/", "/static/none.css"]
)
def test_an_unknown_path(server, headers, path, accept):
    in_shape(server.get(path, headers={**headers, "Accept": accept}), 404)


@pytest.mark.parametrize("path", ["/nowhere", "/users/nobody/", "/chats/"])
def test_a_browser_gets_a_page(server, path):
    response = server.get(path, headers={"Accept": BROWSER})
    assert response.status_code in {401, 404}
    assert response.headers["Content-Type"].startswith("text/html")
    assert "<h1>" in response.text or "<h2>" in response.text


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "TRACE", "MADEUP"])
@pytest.mark.parametrize("path", VERBS)
def test_a_wrong_method_of_a_verb(server, headers, path, method):
    response = server.request(method, path, headers=headers)
    in_shape(response, 405, *(() if headers or path == "/register" else (401,)))


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "MADEUP"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/chats/",
        "/users/me/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/docs/",
        "/schema/",
        "/nowhere",
    ],
)
def test_a_wrong_method_of_what_is_read(server, headers, path, method):
    in_shape(server.request(method, path, headers=headers), 405, 404, 401)


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/chats/", "/send_message", "/docs/", "/schema/", "/admin/"])
def test_asking_about_a_path_is_no_defect(server, headers, path, method):
    assert server.request(method, path, headers=headers).status_code < 500


@pytest.mark.parametrize(
    "accept", ["application/xml", "image/png", "text/plain", "nonsense", ", ,;;", "*/*;q=0"]
)
@pytest.mark.parametrize("path", ["/", "/chats/", "/docs/", "/schema/", "/users/me/"])
def test_what_can_not_be_written_as_asked_for(server, token, path, accept):
    response = server.get(path, headers={"Authorization": f"Bearer {token}", "Accept": accept})
    assert response.status_code in {200, 406}
    if response.status_code == 406:
        in_shape(response, 406)


@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        (b"{", {400}), (b"[]", {400}), (b"5", {400}), (b'{"text": "\xff"}', {400}),
        (b'{"text": "\\ud800"}', {400}), (b'{"a":' * 100_000, {400}), (b"[" * 100_000, {400}),
        (b"\x00", {400}), (b"{" + b" " * 1_100_000 + b"}", {413}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", VERBS)
def test_a_body_that_is_no_object(server, token, path, body, statuses):
    # A connection each: the server closes one that it has not read to the end.
    headers = {**JSON, "Authorization": f"Bearer {token}", "Connection": "close"}
    in_shape(server.post(path, content=body, headers=headers), *statuses)
    # The same in chunks, whose length is not said before.
    in_shape(server.post(path, content=iter([body[:1], body[1:]]), headers=headers), *statuses)


@pytest.mark.parametrize(
    "content_type",
    ["application/xml", "text/plain", "/;;", "application/x-www-form-urlencoded", "multipart/form-data",
     "multipart/form-data; boundary=x", "application/jsonx", ""],
)  # fmt: skip
@pytest.mark.parametrize("path", VERBS)
def test_a_body_of_another_type(server, token, path, content_type):
    headers = {"Content-Type": content_type, "Authorization": f"Bearer {token}"}
    in_shape(server.post(path, content=b"a=1", headers=headers), 415, 400)


@pytest.mark.parametrize(
    "path",
    [
        "/%00", "/users/%00/", "/chats/%00/messages/", "/..%2f..%2fetc/passwd", "/%2e%2e/x", "//",
        "//evil.example/", "/%ff%fe", "/users/%ff/", "/chats/%ED%A0%80/", "/static/%2e%2e/manage.py",
        "/static/%00", "/" + "a" * 7000, "/chats/?cursor=%00", "/chats/?cursor=%ff", "/chats/?limit=x",
        "/chats/?limit=%00", "/blocks/?cursor=cD14", "/groups/?limit=99999999999999999999",
        "/chats/01980f3e-7b1c-7c3a-9d55-0123456789ab/messages/?before=1e9",
        "/chats/01980f3e-7b1c-7c3a-9d55-0123456789ab/messages/?before=99999999999999999999999999",
        "/users/me/?format=xml", "/?format=nonsense",
    ],
)  # fmt: skip
def test_a_path_of_nonsense(live_stack, token, path):
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
    status, answer = raw(live_stack, f"{request}Connection: close\r\n\r\n".encode())
    assert 400 <= status < 500, answer[:300]
    body = json.loads(answer[answer.index(b"{") : answer.rindex(b"}") + 1])
    assert set(body) == {"type", "errors"}


@pytest.mark.parametrize("host", ["evil.example", "", "a b", "[::1", "%00", "127.0.0.1:99999999"])
def test_a_host_that_is_not_ours(live_stack, host):
    for path in ("/users/me/", "/nowhere"):
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        status, answer = raw(live_stack, request.encode())
        assert 400 <= status < 500
        if b"\r\n\r\n{" in answer:
            body = json.loads(answer.partition(b"\r\n\r\n")[2])
            assert set(body) == {"type", "errors"}
        assert b"text/html" not in answer


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Authorization", ["Bearer a", "Bearer b"]), ("Authorization", [""]),
        ("Authorization", ["Basic YTpi"]), ("Authorization", ["Bearer \xff"]),
        ("Content-Type", ["application/json", "text/html"]), ("Cookie", ["sessionid=x; csrftoken"]),
        ("X-Forwarded-Host", ["evil.example"]), ("Accept", ["\xff"]), ("Accept", ["a/b," * 500]),
    ],
)  # fmt: skip
def test_odd_headers(live_stack, name, values):
    for method, path in (("GET", "/users/me/"), ("POST", "/send_message"), ("GET", "/nowhere")):
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
        lines += [f"{name}: {value}" for value in values]
        status, answer = raw(live_stack, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        assert 400 <= status < 500, answer[:300]
        assert b"text/html" not in answer


def test_the_admin_is_no_defect_to_a_program(server, token):
    for headers in ({}, {"Authorization": f"Bearer {token}"}):
        assert server.get("/admin/", headers=headers).status_code == 302
        in_shape(server.post("/admin/login/", headers=headers, content=b"a=1"), 403)
        in_shape(server.post("/browse/login/", headers=headers, content=b"a=1"), 403)
