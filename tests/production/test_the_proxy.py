"""`ops/nginx.conf` in front of a whole deployment: TLS, headers, addresses, limits, slow clients."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from tests.production.deployment import BALANCER, WEBS, make_certificate, until


@pytest.fixture
def http(deployment):
    with deployment.client() as client:
        yield client


def register(http, **options):
    return http.post("/register", json={"username": f"p{secrets.token_hex(6)}"}, **options)


def test_it_speaks_tls_alone(deployment, http):
    answer = http.get("/healthz")
    assert answer.status_code == 200
    assert (
        "max-age=31536000"
        in http.get("/", headers={"Accept": "text/html"}).headers["Strict-Transport-Security"]
    )
    plain = httpx.get(f"http://localhost:{deployment.plain_port}/register", trust_env=False)
    assert plain.status_code == 308
    assert plain.headers["Location"].startswith("https://localhost")
    with pytest.raises(httpx.ConnectError):
        httpx.get(
            deployment.base_url, trust_env=False
        )  # whose authority is nobody's but the test's


def test_challenges_for_a_certificate_are_answered_over_plain_http(deployment):
    folder = deployment.folder / "acme" / ".well-known" / "acme-challenge"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "token-1").write_text("proof")
    plain = f"http://localhost:{deployment.plain_port}/.well-known/acme-challenge"
    assert httpx.get(f"{plain}/token-1", trust_env=False).text == "proof"
    assert httpx.get(f"{plain}/../../../key.pem", trust_env=False).status_code in {308, 400, 404}
    assert httpx.get(f"{plain}/none", trust_env=False).status_code == 404


def test_a_new_certificate_is_taken_by_a_reload_that_fails_nobody(deployment, http):
    proxy = deployment.process("proxy")

    def workers() -> set[int]:
        return {child.pid for child in psutil.Process(proxy.pid).children()}

    before = workers()
    make_certificate(deployment.authority, deployment.folder / "key.pem")
    proxy._signal(signal.SIGHUP)
    until(lambda: not workers() & before, "new workers", 60)
    with deployment.client() as client:
        assert register(client).status_code == 201


def test_old_tls_is_refused(deployment):
    context = ssl.create_default_context(cafile=str(deployment.authority))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", deployment.port)) as raw,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(raw, server_hostname="localhost")


def test_cookies_are_bound_to_this_host(http):
    answer = http.get("/browse/login/", headers={"Accept": "text/html"})
    (cookie,) = answer.headers.get_list("set-cookie")
    name, *attributes = (part.strip() for part in cookie.split(";"))
    assert name.startswith("__Host-csrftoken=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(attributes)
    assert not any(attribute.lower().startswith("domain") for attribute in attributes)


def test_a_person_can_log_in_through_it(http):
    """The origin is the proxy's, and the server believes that it was asked over HTTPS."""
    username, password = f"p{secrets.token_hex(6)}", secrets.token_hex(12)
    assert (
        http.post("/register", json={"username": username, "password": password}).status_code == 201
    )
    page = http.get("/browse/login/", headers={"Accept": "text/html"})
    token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    answer = http.post(
        "/browse/login/",
        data={"username": username, "password": password, "csrfmiddlewaretoken": token},
        headers={"Referer": str(page.url), "Accept": "text/html"},
    )
    assert answer.status_code == 302, answer.text
    assert http.get("/users/me/").json()["username"] == username
    assert any(name.startswith("__Host-session") for name in http.cookies)


@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/metrics/", "/%6detrics"])
def test_what_the_inside_watches_is_not_shown_outside(deployment, path):
    context = ssl.create_default_context(cafile=str(deployment.authority))
    transport = httpx.HTTPTransport(verify=context, local_address=BALANCER)
    with httpx.Client(transport=transport, base_url=deployment.base_url) as client:
        answer = client.get(path, headers={"X-Forwarded-For": "203.0.113.9"})
    assert answer.status_code == 404
    assert answer.json()["errors"][0]["code"] == "not_found"


def test_an_nginx_of_the_machine_s_own_takes_the_same_configuration(deployment):
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("there is none on this machine")
    done = subprocess.run(
        [program, "-t", "-e", "stderr", "-c", str(deployment.folder / "proxy" / "nginx.conf")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


def test_prometheus_gets_each_web_server_s_figures_inside(deployment):
    base = f"http://127.0.0.1:{deployment.metrics_port}"
    with httpx.Client(base_url=base, trust_env=False) as inside:
        for name in WEBS:
            answer = inside.get(f"/{name}/metrics")
            assert answer.status_code == 200, answer.text
            assert "strata_requests_total" in answer.text
            assert inside.get(f"/{name}/readyz").status_code == 200
        assert inside.get("/register").status_code == 404
        assert inside.get("/web-1/register").status_code == 404


def endless():
    for _ in range(64):
        yield b" " * 65536


def test_every_body_over_the_limit_is_refused_before_a_web_server_hears_of_it(http):
    """A web server that answers while the proxy still writes would make it a 503 now and then."""
    told: Counter[int] = Counter()
    for _ in range(100):
        with contextlib.suppress(httpx.RemoteProtocolError, httpx.WriteError, httpx.ReadError):
            told[
                http.post(
                    "/register",
                    content=b" " * 1_048_577,
                    headers={"Content-Type": "application/json"},
                ).status_code
            ] += 1
    assert set(told) == {413}
    assert told[413] > 50
    exactly = http.post(
        "/register", content=b" " * 1_048_576, headers={"Content-Type": "application/json"}
    )
    assert exactly.status_code == 400


@pytest.mark.parametrize("body", [b" " * 1_048_577, endless], ids=["one over", "of no length"])
def test_a_body_over_the_limit_is_refused_in_the_one_shape(http, body):
    answer = None
    # The proxy answers, and half a second later closes on a client that still writes: on a busy
    # machine a client that reads only when it has written finds the connection gone.
    for _ in range(10):
        content = body if isinstance(body, bytes) else body()
        with contextlib.suppress(httpx.RemoteProtocolError, httpx.WriteError, httpx.ReadError):
            answer = http.post(
                "/register", content=content, headers={"Content-Type": "application/json"}
            )
            break
    assert answer is not None
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["code"] == "body_too_large"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_what_a_client_says_of_its_address_and_scheme_is_not_believed(deployment, http):
    """A limit by address counts who asked the proxy, whatever the headers claim."""
    answer = register(
        http,
        headers={
            "X-Forwarded-For": "203.0.113.9",
            "X-Forwarded-Proto": "http",
            "X-Forwarded-Host": "evil.example",
            "Forwarded": "for=203.0.113.9",
        },
    )
    # Believed, the scheme would have been a redirect to HTTPS.
    assert answer.status_code == 201
    routes = http.get("/", headers={"X-Forwarded-Host": "evil.example"}).json()
    assert all(url.startswith("https://localhost") for url in routes.values())


def test_nor_what_it_says_under_a_name_that_only_looks_like_theirs(http):
    """To the web server `X_Forwarded_Proto` and `X-Forwarded-Proto` are one name, the last one wins."""
    for scheme in ("X_Forwarded_Proto", "x_forwarded-proto", "X-Forwarded_Proto"):
        answer = register(http, headers={scheme: "http", "X_Forwarded_For": "203.0.113.9"})
        assert answer.status_code == 201, (scheme, answer.headers)
    answer = http.get("/", headers={"X_Request_ID": "planted"})
    assert answer.headers["X-Request-ID"] != "planted"


def test_another_host_is_refused(deployment):
    with deployment.client() as client:
        answer = client.get("/", headers={"Host": "evil.example"})
    assert answer.status_code in {400, 421} or not answer.content


def test_clients_that_send_in_drops_keep_no_thread_busy(deployment, http):
    """More slow bodies than the web servers have threads, and others are answered at once."""
    context = ssl.create_default_context(cafile=str(deployment.authority))
    slow = []
    for _ in range(24):
        raw = socket.create_connection(("127.0.0.1", deployment.port))
        wrapped = context.wrap_socket(raw, server_hostname="localhost")
        wrapped.sendall(
            b"POST /register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b'Content-Length: 40\r\n\r\n{"user'
        )
        slow.append(wrapped)
    for _ in range(5):
        assert register(http, timeout=10).status_code == 201
    name = secrets.token_hex(6)
    slow[0].sendall(f'name": "slow-{name}"}}'.encode().ljust(34))
    slow[0].settimeout(10)
    assert slow[0].recv(12) == b"HTTP/1.1 201"
    for wrapped in slow:
        wrapped.close()


def test_a_poll_whose_answer_is_read_slowly_keeps_nobody_waiting(deployment, http):
    ada, bob = register(http).json(), register(http).json()
    sender = {"Authorization": f"Bearer {ada['token']}"}
    for _ in range(50):
        body = {"recipient_id": bob["user_id"], "text": "x" * 4000}
        assert http.post("/send_message", json=body, headers=sender).status_code == 201
    done = threading.Event()

    def read_slowly():
        with (
            deployment.client() as client,
            client.stream(
                "POST",
                "/get_messages",
                json={},
                headers={"Authorization": f"Bearer {bob['token']}", "Accept-Encoding": "identity"},
            ) as answer,
        ):
            assert answer.status_code == 200
            done.wait(20)
            return len(answer.read())

    with ThreadPoolExecutor(24) as pool:
        readers = [pool.submit(read_slowly) for _ in range(24)]
        for _ in range(5):
            assert register(http, timeout=10).status_code == 201
        done.set()
        assert {reader.result() for reader in readers} != {0}
        assert all(reader.result() > 50 * 4000 for reader in readers)


def test_without_any_web_server_it_says_so_in_the_one_shape_and_recovers(deployment, http):
    for name in WEBS:
        deployment.stop(name)
    try:
        answer = http.get("/healthz")
        assert answer.status_code == 503
        assert answer.json()["type"] == "server_error"
        assert answer.headers["Retry-After"]
    finally:
        for name in WEBS:
            deployment.start(name)
    assert http.get("/healthz").status_code == 200
