"""What nginx does for the web servers behind it, seen through real connections."""

import contextlib
import resource
import secrets
import socket
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import httpx
import pytest

from config.proxy import MOST_OF_AN_ADDRESS
from config.tests.nginx import Nginx, SomeWeb

BODIES = 400
IDLE = 3000
ABROAD = "203.0.113.9"


@pytest.fixture(scope="module")
def web_socket(live_stack):
    """The socket of the running stack's web server."""
    return live_stack.data_dir / "run" / "web.sock"


@pytest.fixture
def people(live_stack):
    """A client of the stack with a user's token, and that user's id."""
    with httpx.Client(base_url=live_stack.base_url, timeout=30, trust_env=False) as client:
        user = client.post("/register", json={"username": f"n{secrets.token_hex(6)}"}).json()
        client.headers["Authorization"] = f"Bearer {user['token']}"
        yield client


@pytest.fixture
def many_files():
    """Let this process have a connection for each of many clients."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + BODIES + 500
    if before[1] != resource.RLIM_INFINITY and before[1] < wanted:
        pytest.skip(f"this user may have {before[1]} files open, and {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], wanted), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def connect(port, sent=b"", source="127.0.0.1"):
    connection = socket.create_connection(
        ("127.0.0.1", port), timeout=30, source_address=(source, 0)
    )
    connection.sendall(sent)
    return connection


def answer_to(connection):
    """Return all that comes until the end."""
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            got += chunk
    return got


def half_a_send():
    return (
        b"POST /send_message HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 200\r\nConnection: close\r\n\r\n" + b'{"text": "'
    )


def in_shape(response, status, code):
    assert response.status_code == status, response.text[:300]
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    body = response.json()
    (error,) = body["errors"]
    assert set(body) == {"type", "errors"}
    assert set(error) == {"code", "detail", "attr"}
    assert error["code"] == code
    assert body["type"] == ("server_error" if status >= 500 else "client_error")
    assert (status in {429, 503}) == ("Retry-After" in response.headers)


# Slow and idle clients --------------------------------------------------------------------------


def test_idle_connections_and_bodies_that_stop_in_the_middle_keep_nobody_waiting(
    live_stack, people, many_files
):
    open_ones = [connect(live_stack.port) for _ in range(IDLE)]
    try:
        open_ones += [connect(live_stack.port, half_a_send()) for _ in range(BODIES)]
        answered = [people.post("/get_messages", json={}).status_code for _ in range(50)]
        assert answered == [200] * 50
        # Who comes anew is let in as well, and who goes on at last is answered.
        assert httpx.get(f"{live_stack.base_url}/healthz", timeout=30).status_code == 200
        open_ones[-1].sendall(b'"}'.rjust(190))
        assert open_ones[-1].recv(12) == b"HTTP/1.1 401"
        open_ones[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert open_ones[0].recv(12) == b"HTTP/1.1 200"
    finally:
        for one in open_ones:
            one.close()


@pytest.mark.parametrize("sent", [b"GET /healthz HTTP/1.1\r\nHost: lo", half_a_send()])
def test_a_client_that_stops_in_the_middle_is_let_go(tmp_path, web_socket, sent):
    with Nginx(tmp_path, [web_socket], PROXY_CLIENT_SECONDS="1") as nginx:
        assert answer_to(connect(nginx.port, sent)) == b""


def test_a_body_that_ends_early_never_reaches_a_web_server(tmp_path):
    with SomeWeb(tmp_path / "web", lambda connection: connection.close()) as web:
        with Nginx(tmp_path, [web.path]) as nginx:
            connection = connect(nginx.port, half_a_send())
            connection.shutdown(socket.SHUT_WR)
            answer_to(connection)
            with nginx.client() as client:
                client.post("/send_message", content=b"whole")
        assert [got[-5:] for got in web.got] == [b"whole"]


# Many requests of one address at once -----------------------------------------------------------


def half_a_send_of(address):
    """Return the beginning of a send whose body waits for more, handed on for an address."""
    return half_a_send().replace(b"\r\n\r\n", f"\r\nX-Forwarded-For: {address}\r\n\r\n".encode())


@contextlib.contextmanager
def bodies_that_wait(nginx, addresses):
    """Keep a body under way for each address."""
    open_ones = [connect(nginx.port, half_a_send_of(address)) for address in addresses]
    try:
        yield
    finally:
        for one in open_ones:
            one.close()


def until_refused(client, address):
    """Ask until the address has as many requests under way as it may; return that answer."""
    deadline = time.monotonic() + 30
    while True:
        answer = client.get("/healthz", headers={"X-Forwarded-For": address})
        if answer.status_code != 200:
            return answer
        assert time.monotonic() < deadline, f"{address} was never refused"


@pytest.mark.parametrize(
    ("own", "neighbour"),
    [
        ([ABROAD], "203.0.113.10"),
        (["2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6"], "2001:db8:1:3::1"),
        (["2001:db8::1", "2001:db8::a:b:c:d", "2001:db8:0:0:1:0:0:0"], "2001:db8:0:5:a:b:c:d"),
        (["::ffff:203.0.113.9"], "::ffff:203.0.113.10"),
    ],
)
def test_an_address_has_so_many_requests_under_way_at_once(tmp_path, web_socket, own, neighbour):
    with Nginx(tmp_path, [web_socket], PROXY_TRUSTED="127.0.0.1") as nginx:
        addresses = [own[n % len(own)] for n in range(MOST_OF_AN_ADDRESS + 20)]
        with nginx.client() as client:
            with bodies_that_wait(nginx, addresses):
                for address in own:
                    in_shape(until_refused(client, address), 429, "throttled")
                for other in (neighbour, "127.0.0.1"):
                    for _ in range(20):
                        answer = client.get("/healthz", headers={"X-Forwarded-For": other})
                        assert answer.status_code == 200, other
            assert client.get("/healthz", headers={"X-Forwarded-For": ABROAD}).status_code == 200


def test_this_machine_counts_too_where_it_is_not_free(tmp_path, web_socket):
    with (
        Nginx(tmp_path, [web_socket], LIMIT_FREE_ADDRESSES="none") as nginx,
        bodies_that_wait(nginx, ["x"] * (MOST_OF_AN_ADDRESS + 20)),
        nginx.client() as client,
    ):
        in_shape(until_refused(client, "x"), 429, "throttled")


# Sends that may have arrived --------------------------------------------------------------------


def test_a_send_that_may_have_arrived_goes_to_no_other_server(tmp_path):
    with (
        SomeWeb(tmp_path / "a", lambda connection: connection.close()) as first,
        SomeWeb(tmp_path / "b", lambda connection: connection.close()) as second,
        Nginx(tmp_path, [first.path, second.path]) as nginx,
        nginx.client() as client,
    ):
        for number in range(1, 9):
            in_shape(client.post("/send_message", content=b"once"), 503, "unavailable")
            assert len(first.got) + len(second.got) == number


def test_a_server_that_can_not_be_reached_is_passed_over(tmp_path):
    def say_yes(connection):
        # As who is asked to close says; nginx would else send the next one on this connection.
        connection.sendall(
            b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        connection.close()

    (tmp_path / "left").touch()
    with (
        SomeWeb(tmp_path / "here", say_yes) as web,
        Nginx(tmp_path, [tmp_path / "gone", tmp_path / "left", web.path]) as nginx,
        nginx.client() as client,
    ):
        assert [client.post("/send_message", content=b"x").status_code for _ in range(12)] == [
            201
        ] * 12
        assert len(web.got) == 12


def send_until_answered(url, headers, reader, numbers, refused):
    """Repeat each send with its `client_id` until it is answered, as clients do."""
    with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as kept:
        for number in numbers:
            body = {"recipient_id": reader, "text": number, "client_id": f"k-{number}"}
            status = 0
            while status not in {200, 201}:
                with contextlib.suppress(httpx.TransportError):
                    status = kept.post("/send_message", json=body).status_code
                if status >= 400:
                    refused.add(status)


def until_it_serves(client):
    """Wait until the workers that were killed have successors."""
    deadline = time.monotonic() + 60
    while client.get("/users/me/").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_web_workers_that_are_killed_under_load_lose_and_double_nothing(live_stack, people):
    url = live_stack.base_url
    reader = httpx.post(f"{url}/register", json={"username": f"r{secrets.token_hex(6)}"}).json()
    wanted = [str(number) for number in range(48)]
    refused: set[int] = set()
    with ThreadPoolExecutor(4) as pool:
        runs = [
            pool.submit(
                send_until_answered,
                url,
                people.headers,
                reader["user_id"],
                wanted[part::4],
                refused,
            )
            for part in range(4)
        ]
        for _ in range(3):
            for worker in live_stack.workers():
                worker.kill()
            wait(runs, timeout=2)
        for run in runs:
            run.result()
    assert refused <= {503}
    # The last ones may have been killed after the last send.
    until_it_serves(people)
    answer = httpx.post(
        f"{url}/get_messages", json={}, headers={"Authorization": f"Bearer {reader['token']}"}
    )
    (chat,) = answer.json()["chats"]
    assert sorted(message["text"] for message in chat["messages"]) == sorted(wanted)
    assert chat["end"] == len(wanted)


# What it answers by itself ----------------------------------------------------------------------


def test_a_body_over_the_limit(people):
    in_shape(people.post("/send_message", content=b" " * 1_048_577), 413, "body_too_large")
    in_shape(
        people.post("/send_message", content=iter([b" " * 600_000] * 2)), 413, "body_too_large"
    )


def test_a_path_or_a_header_that_is_too_long(people):
    in_shape(people.get("/" + "a" * 20_000), 414, "uri_too_long")
    in_shape(people.get("/healthz", headers={"X-Long": "a" * 20_000}), 431, "header_too_large")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/3.7\r\nHost: localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: identity\r\n\r\n",
    ],
)
def test_a_request_that_is_none(live_stack, sent):
    head, _, body = answer_to(connect(live_stack.port, sent)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert b"application/json" in head
    assert b'"code": "bad_request"' in body


def test_no_web_server(tmp_path):
    with Nginx(tmp_path, [tmp_path / "gone"]) as nginx, nginx.client() as client:
        in_shape(client.get("/healthz"), 503, "unavailable")
        in_shape(client.post("/send_message", json={}), 503, "unavailable")


def test_a_web_server_that_does_not_answer(tmp_path):
    kept: list[socket.socket] = []
    with (
        SomeWeb(tmp_path / "web", kept.append) as web,
        Nginx(tmp_path, [web.path], PROXY_ANSWER_SECONDS="1") as nginx,
        nginx.client() as client,
    ):
        in_shape(client.post("/send_message", content=b"x"), 503, "unavailable")
        assert len(web.got) == 1


def test_the_web_server_says_that_it_closes(web_socket):
    """Else nginx, since 1.29.7, would send another request on what is closing."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(web_socket))
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        head = answer_to(connection).partition(b"\r\n\r\n")[0].lower()
    assert b"connection: close" in head.splitlines()


def test_what_the_web_server_answers_passes_as_it_is(people):
    answer = people.post("/send_message", json={"recipient_id": "nobody", "text": ""})
    assert answer.status_code == 400
    assert answer.headers["X-Request-ID"]
    assert "application/json" in answer.headers["Content-Type"]


# Who asks ---------------------------------------------------------------------------------------


def is_limited(port, source, **headers):
    """Say whether the server counts a visit from this address, as it does for all but this machine."""
    transport = httpx.HTTPTransport(local_address=source)
    with httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{port}") as client:
        answer = client.get("/", headers={"Accept": "application/json", **headers}, timeout=30)
        assert answer.status_code == 200, answer.text
    return "RateLimit" in answer.headers


@pytest.mark.parametrize(
    "claim",
    [
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-For", f"{ABROAD}, ::1"),
        ("X_Forwarded_For", "127.0.0.1"),
        ("Forwarded", "for=127.0.0.1"),
        ("X-Real-IP", "127.0.0.1"),
    ],
)
def test_the_address_is_the_one_that_connected_whatever_a_header_claims(live_stack, claim):
    name, value = claim
    assert is_limited(live_stack.port, "127.0.0.5", **{name: value})
    assert not is_limited(
        live_stack.port, "127.0.0.1", **{name: value.replace("127.0.0.1", ABROAD)}
    )


def test_guesses_under_forged_addresses_are_one_address_s(live_stack):
    """Ten failures an hour, for a name from an address."""
    transport = httpx.HTTPTransport(local_address="127.0.0.8")
    body = {"username": f"g{secrets.token_hex(6)}", "password": "wrong"}
    with httpx.Client(transport=transport, base_url=live_stack.base_url, timeout=30) as client:
        told = [
            client.post(
                "/login", json=body, headers={"X-Forwarded-For": f"198.51.100.{number}"}
            ).status_code
            for number in range(11)
        ]
    assert told == [401] * 10 + [429]


def test_a_proxy_before_it_is_believed_where_the_settings_say_so(tmp_path, web_socket):
    with Nginx(tmp_path, [web_socket], PROXY_TRUSTED="127.0.0.1") as nginx:
        assert is_limited(nginx.port, "127.0.0.1", **{"X-Forwarded-For": ABROAD})
        # The last that is no proxy of ours, not the first that was claimed.
        claims = {"X-Forwarded-For": f"127.0.0.3, {ABROAD}, 127.0.0.1"}
        assert is_limited(nginx.port, "127.0.0.1", **claims)
        assert is_limited(nginx.port, "127.0.0.6", **{"X-Forwarded-For": "127.0.0.1"})


INSIDE_PATHS = [
    "/metrics/",
    "/readyz/x",
    "/metrics",
    "/readyz",
    "/%6detrics",
    "//metrics",
    "/x/../readyz",
    "/./metrics",
]


@pytest.mark.parametrize("path", INSIDE_PATHS)
def test_what_watches_the_service_is_not_shown_to_a_public_address(tmp_path, web_socket, path):
    with Nginx(tmp_path, [web_socket], PROXY_TRUSTED="127.0.0.1") as nginx:
        port = nginx.port
        for address in (ABROAD, "2001:db8::1", f"10.0.0.1, {ABROAD}", "172.32.0.1", "8.8.8.8"):
            request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {address}\r\nConnection: close\r\n\r\n"
            got = answer_to(connect(port, request.encode()))
            assert got.startswith(b"HTTP/1.1 404"), (address, got[:200])
            assert b'"code": "not_found"' in got


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
def test_but_to_loopback_and_private_ones(tmp_path, web_socket, path):
    with (
        Nginx(tmp_path, [web_socket], PROXY_TRUSTED="127.0.0.1") as nginx,
        nginx.client() as client,
    ):
        for address in ("127.0.0.9", "10.1.2.3", "172.16.0.1", "192.168.1.1", "fd00::1", "::1"):
            answer = client.get(path, headers={"X-Forwarded-For": address})
            assert answer.status_code == 200, address


def test_metrics_allowed_lets_more_addresses_in(tmp_path, web_socket):
    settings = {"PROXY_TRUSTED": "127.0.0.1", "METRICS_ALLOWED": f"{ABROAD},198.51.100.0/24"}
    with Nginx(tmp_path, [web_socket], **settings) as nginx, nginx.client() as client:
        for address, status in ((ABROAD, 200), ("198.51.100.7", 200), ("198.51.101.7", 404)):
            answer = client.get("/metrics", headers={"X-Forwarded-For": address})
            assert answer.status_code == status, address


def test_balancers_may_ask_whether_it_lives_from_anywhere(tmp_path, web_socket):
    settings = {"PROXY_TRUSTED": "127.0.0.1"}
    with Nginx(tmp_path, [web_socket], **settings) as nginx, nginx.client() as client:
        assert client.get("/healthz", headers={"X-Forwarded-For": ABROAD}).status_code == 200


def test_this_machine_sees_the_figures_at_the_port_of_make_run(live_stack):
    assert "strata_requests_total" in httpx.get(f"{live_stack.base_url}/metrics").text
    assert httpx.get(f"{live_stack.base_url}/readyz").status_code == 200
    assert Path(live_stack.data_dir, "proxy", "nginx.conf").is_file()
