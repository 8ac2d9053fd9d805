"""Readers who begin many downloads and take nothing: nobody else waits for them."""

import contextlib
import hashlib
import os
import secrets
import socket
import sys
import time
from uuid import uuid4

import boto3
import httpx
import psycopg
import pytest
from botocore.config import Config

from config.options import BASE_DIR
from config.stack.folder import some_free_port
from config.stack.process import Process, Program
from config.tests.nginx import Nginx

SIZE = 6_000_000
MANY = 40
AT_ONCE = 4


class Somebody:
    """A user of the running stack, with an export of 6 MB in the bucket."""

    def __init__(self, stack):
        environment = stack.environment()
        name = f"d{secrets.token_hex(6)}"
        user = httpx.post(f"{stack.base_url}/register", json={"username": name}, timeout=30).json()
        self.id = user["user_id"]
        self.headers = {"Authorization": f"Bearer {user['token']}"}
        self.export = str(uuid4())
        self.content = os.urandom(SIZE)
        self.key = f"{self.id}/export/{self.export}.zip"
        self.bucket = boto3.resource(
            "s3",
            endpoint_url=environment["S3_ENDPOINT_URL"],
            region_name=environment["S3_REGION"],
            aws_access_key_id=environment["S3_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["S3_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}),
        ).Bucket(environment["S3_BUCKET"])
        self.bucket.put_object(
            Key=self.key, Body=self.content, ContentType="text/html", CacheControl="public",
            Metadata={"first-seq": "1"},
        )  # fmt: skip
        with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(
                "INSERT INTO archive_export (id, user_id, state, attempt, messages, total, size, "
                "detail, expires_at) VALUES (%s, %s, 'ready', 1, 0, 0, %s, '', now() + '1 day')",
                (self.export, self.id, SIZE),
            )
        self.path = f"/exports/{self.export}/download/"

    def begin(self, port, body=""):
        """Ask for the file, and read no more than the head of the answer; return its status."""
        connection = socket.socket()
        # Or the kernel alone would take all of it.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", port))
        head = f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {self.headers['Authorization']}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        connection.sendall(head.encode())
        return int(connection.recv(12).split()[1]), connection

    def polls(self, base_url, times):
        with httpx.Client(base_url=base_url, headers=self.headers, timeout=30) as client:
            return [client.post("/get_messages", json={}).status_code for _ in range(times)]


@pytest.fixture(scope="module")
def ada(live_stack):
    return Somebody(live_stack)


@pytest.fixture(scope="module")
def bob(live_stack):
    return Somebody(live_stack)


@contextlib.contextmanager
def unread(somebody, port, number, body=""):
    """Begin so many downloads and read none; yield their statuses and connections."""
    begun = [somebody.begin(port, body) for _ in range(number)]
    try:
        yield [status for status, _ in begun], [connection for _, connection in begun]
    finally:
        for _, connection in begun:
            connection.close()


def begin_until(somebody, port, wanted):
    """Begin downloads, one after the other, until one is answered so."""
    deadline = time.monotonic() + 30
    while True:
        status, connection = somebody.begin(port)
        connection.close()
        if status == wanted:
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_comes_is_the_file_and_nothing_of_the_bucket(live_stack, ada):
    answer = httpx.get(f"{live_stack.base_url}{ada.path}", headers=ada.headers, timeout=30)
    assert answer.status_code == 200
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(ada.content).digest()
    assert answer.headers["Content-Length"] == str(SIZE)
    assert answer.headers.get_list("Content-Type") == ["application/zip"]
    assert answer.headers.get_list("Cache-Control") == ["no-store"]
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="strata-')
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Request-ID"]
    told = {name.lower() for name in answer.headers}
    assert not [name for name in told if name.startswith(("x-amz", "x-object", "x-accel"))]
    assert not told & {"etag", "last-modified", "access-control-allow-origin", "location"}


@pytest.mark.parametrize("path", ["/_object", "/_proxy/unavailable", "/_object?x=1"])
def test_the_inner_places_are_not_there_for_anybody(live_stack, ada, path):
    url = "http://127.0.0.1:1/secret"
    answer = httpx.get(
        f"{live_stack.base_url}{path}",
        headers={**ada.headers, "X-Object-URL": url, "X-Accel-Redirect": "/_object"},
    )
    assert answer.status_code == 404
    assert answer.json()["errors"][0]["code"] == "not_found"


def test_forty_that_are_not_read_keep_nobody_waiting(live_stack, ada, bob):
    with unread(ada, live_stack.port, MANY) as (statuses, _):
        assert statuses.count(200) == AT_ONCE
        assert statuses.count(503) == MANY - AT_ONCE
        refused = httpx.get(f"{live_stack.base_url}{ada.path}", headers=ada.headers, timeout=30)
        assert refused.status_code == 503
        assert refused.json()["errors"][0]["code"] == "downloads_busy"
        assert refused.headers["Retry-After"].isdigit()
        assert ada.polls(live_stack.base_url, 40) == [200] * 40
        other = httpx.get(f"{live_stack.base_url}{bob.path}", headers=bob.headers, timeout=30)
        assert other.content == bob.content
    begin_until(ada, live_stack.port, 200)


@pytest.mark.parametrize("body", ["", "{}"])
def test_nor_do_those_of_an_address_that_is_counted(tmp_path, live_stack, ada, body):
    web = live_stack.data_dir / "run" / "web.sock"
    begin_until(ada, live_stack.port, 200)
    with (
        Nginx(tmp_path, [web], LIMIT_FREE_ADDRESSES="none") as nginx,
        unread(ada, nginx.port, AT_ONCE + 3, body) as (statuses, _),
    ):
        assert statuses == [200] * AT_ONCE + [503] * 3


def test_a_download_is_asked_for_without_a_body(live_stack, ada):
    url = f"{live_stack.base_url}{ada.path}"
    answer = httpx.request("GET", url, headers=ada.headers, content=b" " * 1025, timeout=30)
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["code"] == "body_too_large"


def test_a_reader_that_takes_nothing_is_cut_off(tmp_path, live_stack, ada):
    web = live_stack.data_dir / "run" / "web.sock"
    with (
        Nginx(tmp_path, [web], PROXY_SEND_SECONDS="1") as nginx,
        unread(ada, nginx.port, AT_ONCE) as (statuses, connections),
    ):
        assert statuses == [200] * AT_ONCE
        mine = {connection.getsockname()[1] for connection in connections}
        deadline = time.monotonic() + 60
        while nginx.clients() & mine:
            assert time.monotonic() < deadline, "they are still connected"
            time.sleep(0.05)
        # Their places are free again, though they have let go of nothing.
        begin_until(ada, nginx.port, 200)
        for connection in connections:
            got = 0
            connection.settimeout(3)
            # A full window may keep the end from being seen.
            with contextlib.suppress(ConnectionResetError, TimeoutError):
                while chunk := connection.recv(1_000_000):
                    got += len(chunk)
            assert got < SIZE


def test_a_file_that_is_gone_is_a_404(live_stack):
    eve = Somebody(live_stack)
    with httpx.Client(base_url=live_stack.base_url, headers=eve.headers, timeout=30) as client:
        assert client.get(eve.path).content == eve.content
        eve.bucket.Object(eve.key).delete()
        gone = client.get(eve.path)
        assert gone.status_code == 404
        assert gone.json()["errors"][0]["code"] == "not_found"


# Without our nginx ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def alone(live_stack, tmp_path_factory):
    """The port of a web server of one worker with four threads, and nothing before it."""
    port, output = some_free_port(), tmp_path_factory.mktemp("alone") / "log"
    settings = {
        "PORT": str(port), "WEB_SOCKET": "", "WEB_WORKERS": "1", "WEB_THREADS": "4",
        "DOWNLOADS_BY_PROXY": "false", "TRUSTED_PROXIES": "0",
    }  # fmt: skip
    program = Program(
        "web",
        [sys.executable, "-m", "config.process", "web"],
        folder=BASE_DIR,
        environment={"PATH": os.environ["PATH"], **live_stack.environment(), **settings},
    )
    with output.open("ab") as log:
        process = Process(program, output=log.fileno())
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=10).status_code == 200:
                break
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.1)
    yield port
    process.kill()


def test_a_few_threads_send_and_the_others_answer(alone, ada, bob):
    url = f"http://127.0.0.1:{alone}"
    assert httpx.get(f"{url}{bob.path}", headers=bob.headers, timeout=30).content == bob.content
    with unread(ada, alone, 10) as (statuses, _):
        assert statuses.count(200) == 2
        assert statuses.count(503) == 8
        refused = httpx.get(f"{url}{bob.path}", headers=bob.headers, timeout=30)
        assert refused.json()["errors"][0]["code"] == "downloads_busy"
        assert refused.headers["Retry-After"].isdigit()
        assert bob.polls(url, 40) == [200] * 40
    # Who has gone gives their thread back.
    begin_until(bob, alone, 200)
