"""Web servers restarted in turn, under load: no request fails, no message is lost or doubled."""

from __future__ import annotations

import itertools
import secrets
import signal
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import httpx
import psutil
import pytest

from tests.production.deployment import WEBS, Deployment, until

PAIRS = 6


class Talker:
    """Two people, one of whom writes without a pause while the other polls."""

    def __init__(self, deployment: Deployment) -> None:
        self.http = deployment.client()
        tokens = []
        for _ in range(2):
            answer = self.http.post("/register", json={"username": f"u{secrets.token_hex(6)}"})
            assert answer.status_code == 201, answer.text
            tokens.append(answer.json())
        self.writer, self.reader = tokens
        self.sent: list[str] = []
        self.got: list[str] = []

    def post(self, path: str, who: dict[str, str], body: dict[str, object]) -> httpx.Response:
        return self.http.post(path, json=body, headers={"Authorization": f"Bearer {who['token']}"})

    def talk(self, stop: threading.Event) -> None:
        """Send and poll until told to stop; a single answer that is no success ends it."""
        cursor = None
        for number in itertools.count():
            text = f"message {number}"
            body: dict[str, object] = {"recipient_id": self.reader["user_id"], "text": text}
            answer = self.post("/send_message", self.writer, body)
            assert answer.status_code == 201, (answer.status_code, answer.text)
            self.sent.append(text)
            answer = self.post(
                "/get_messages", self.reader, {} if cursor is None else {"cursor": cursor}
            )
            assert answer.status_code == 200, (answer.status_code, answer.text)
            cursor = answer.json()["cursor"]
            for chat in answer.json()["chats"]:
                self.got += [message["text"] for message in chat["messages"]]
            if stop.is_set():
                return


@pytest.fixture
def talkers(deployment: Deployment):
    made = [Talker(deployment) for _ in range(PAIRS)]
    yield made
    for talker in made:
        talker.http.close()


class Load:
    """All of them at it, while something is done to the servers."""

    def __init__(self, talkers: list[Talker]) -> None:
        self.talkers = talkers
        self.stop = threading.Event()
        self.pool = ThreadPoolExecutor(len(talkers))
        self.running: list[Future[None]] = []

    def __enter__(self) -> Self:
        self.running = [self.pool.submit(talker.talk, self.stop) for talker in self.talkers]
        until(lambda: all(len(talker.sent) > 5 for talker in self.talkers), "the load")
        return self

    def go_on(self, count: int = 10) -> None:
        """Return once everybody has sent so many more."""
        before = [len(talker.sent) for talker in self.talkers]
        until(
            lambda: (
                any(run.done() for run in self.running)
                or all(
                    len(talker.sent) >= had + count
                    for talker, had in zip(self.talkers, before, strict=True)
                )
            ),
            "more messages",
            60,
        )

    def __exit__(self, *error: object) -> None:
        self.stop.set()
        self.pool.shutdown()
        for run in self.running:
            run.result()


def test_restarted_one_after_the_other_they_lose_nothing(deployment, talkers):
    with Load(talkers) as load:
        for name in WEBS * 2:
            load.go_on()
            assert deployment.stop(name) == 0, deployment.output(name)
            load.go_on()
            deployment.start(name)
        load.go_on()
    for talker in talkers:
        assert talker.got == talker.sent
    assert sum(len(talker.sent) for talker in talkers) > 200


def test_reloaded_in_place_they_lose_nothing(deployment, talkers):
    """SIGHUP replaces each worker by a new one that has read the code and settings' files anew."""

    def workers() -> set[int]:
        return {child.pid for child in psutil.Process(deployment.process("web-1").pid).children()}

    before = workers()
    with Load(talkers) as load:
        deployment.process("web-1")._signal(signal.SIGHUP)
        until(lambda: not workers() & before and len(workers()) == len(before), "new workers", 60)
        load.go_on()
    for talker in talkers:
        assert talker.got == talker.sent


def test_what_is_under_way_is_answered_before_the_server_ends(deployment):
    """A request that has been taken is waited for; one that comes later goes to the other server."""
    transport = httpx.HTTPTransport(uds=str(deployment.socket("web-1")))
    with httpx.Client(transport=transport, base_url="http://localhost", timeout=30) as direct:
        started = threading.Event()

        def slow_body():
            yield b'{"username": "'
            started.set()
            until(lambda: not deployment.socket("web-1").exists(), "the socket's removal")
            yield f"slow{secrets.token_hex(6)}".encode()
            yield b'"}'

        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(
                direct.post,
                "/register",
                content=slow_body(),
                headers={
                    "Content-Type": "application/json",
                    "X-Forwarded-Proto": "https",
                    "X-Forwarded-For": "192.0.2.1",
                },
            )
            started.wait(10)
            assert deployment.stop("web-1") == 0
            assert answer.result().status_code == 201
    with deployment.client() as client:
        assert client.get("/healthz").status_code == 200
    deployment.start("web-1")


def test_one_that_takes_too_long_does_not_keep_the_server_from_ending(deployment):
    deployment.stop("web-2")
    deployment.start("web-2", WEB_GRACE_SECONDS="1", WEB_DRAIN_SECONDS="0")
    transport = httpx.HTTPTransport(uds=str(deployment.socket("web-2")))
    with httpx.Client(transport=transport, base_url="http://localhost", timeout=30) as direct:
        started, let_go = threading.Event(), threading.Event()

        def endless():
            yield b'{"username": "'
            started.set()
            let_go.wait(60)
            yield b'x"}'

        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(direct.post, "/register", content=endless())
            started.wait(10)
            deployment.stop("web-2")
            let_go.set()
            with pytest.raises(httpx.HTTPError):
                answer.result()
    deployment.start("web-2")


def test_a_socket_left_by_a_kill_is_no_hindrance(deployment):
    process = deployment.process("web-2")
    process.kill()
    assert deployment.socket("web-2").exists()
    deployment.start("web-2")


def test_a_second_server_on_the_same_socket_is_refused(deployment):
    process = deployment._spawn("web-3", deployment.program("web-1"))
    until(lambda: process.status() is not None, "the refusal")
    assert process.status() == 1
    assert "Another web server already listens" in deployment.output("web-3")
    deployment._processes.pop("web-3")
    assert deployment.serves("web-1")
