"""Eight accounts of one address fill the cache as fast as the limits let them; others go on."""

from __future__ import annotations

import contextlib
import itertools
import random
import secrets
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import httpx

from tests.faults.stage import Stage, until
from tests.http import JSON, Answer, Follower, Person, Server

STRANGER = "127.0.0.2"
ACCOUNTS = 8
MEGABYTE = 1 << 20
SWEEPER_SECONDS = 12.0
"""How old its word may be before nothing in the cache is believed."""
PASSWORD = "correct horse battery"
REPORT_SECONDS = 30.0
PATIENCE_SECONDS = 30.0


@contextlib.contextmanager
def at(stage: Stage, address: str) -> Iterator[Server]:
    """Reach the service from an address of this machine that no limit passes over."""
    server = Server(stage.stack.base_url)
    server.http.close()
    server.http = httpx.Client(
        base_url=server.base_url,
        timeout=30.0,
        transport=httpx.HTTPTransport(
            local_address=address, limits=httpx.Limits(max_connections=None)
        ),
    )
    try:
        yield server
    finally:
        server.close()


def patient(request: Callable[[], Answer]) -> Answer:
    """Ask until a busy machine has answered; what can't be counted is no excuse."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = request()
        busy = answer.status == 503 and b"limits_unavailable" not in answer.content
        if not busy or time.monotonic() > deadline:
            return answer
        time.sleep(float(answer.headers["retry-after"]))


def registered(server: Server, name: str) -> Person:
    """Register somebody with a password."""
    username = f"{name}-{secrets.token_hex(6)}"
    register = partial(server.post, "/register", username=username, password=PASSWORD)
    body = patient(register).ok(201)
    return Person(server, body["user_id"], username, username, body["token"], PASSWORD)


def control_characters() -> str:
    """Return a text that JSON makes six times as long."""
    return "\x01" * 4096


def of_four_bytes() -> str:
    """Return a text of 16 KiB that no compression makes much shorter."""
    return "".join(map(chr, random.choices(range(0x20000, 0x2A000), k=4096)))


@dataclass
class Filling:
    """Who fills, who goes on meanwhile, and what went wrong for them."""

    stage: Stage
    text: Callable[[], str]
    texts_a_group: int = 50
    most: float = 0.95
    """The share of its memory that the cache may use."""
    problems: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    sent: int = 0
    refused: int = 0
    rounds: int = 0
    largest: float = 0.0
    """The largest share of its memory that the cache used."""

    def run(self, enough: Callable[[], bool], seconds: float) -> None:
        """Fill until it is enough, for so many seconds at most; nobody else may notice."""
        with at(self.stage, STRANGER) as server:
            jobs = [
                *(partial(self.fill, registered(server, "filler")) for _ in range(ACCOUNTS)),
                self.go_on,
            ]
            threads = [threading.Thread(target=self.guarded, args=[job]) for job in jobs]
            for thread in threads:
                thread.start()
            begun = told = time.monotonic()
            while not self.problems and not enough() and time.monotonic() - begun < seconds:
                time.sleep(0.2)
                self.measure()
                if time.monotonic() - told > REPORT_SECONDS:
                    told = time.monotonic()
                    sys.stderr.write(f"filling: {told - begun:.0f} s, {self}\n")
            self.over.set()
            for thread in threads:
                thread.join(60)
        assert not self.problems, "\n".join(self.problems[:10])
        assert self.sent
        assert self.rounds

    def fill(self, person: Person) -> None:
        """Open one group after the other, alone in each, and write into it."""
        while True:
            group = self.obedient(partial(person.create_group, "g"))
            if group is None:
                return
            for _ in range(self.texts_a_group):
                if self.obedient(partial(person.send_group, group, self.text())) is None:
                    return
                self.sent += 1

    def obedient(self, request: Callable[[], Answer]) -> JSON | None:
        """Ask, waiting as long as a 429 says; None when it is over."""
        while not self.over.is_set():
            answer = patient(request)
            if answer.status != 429:
                body: JSON = answer.ok(201)
                return body
            self.refused += 1
            self.over.wait(float(answer.headers["retry-after"]))
        return None

    def go_on(self) -> None:
        """Do what others do meanwhile: come in, write, poll, ask for what the queue is needed for."""
        with at(self.stage, "127.0.0.3") as server:
            ann, ben = registered(server, "ann"), registered(server, "ben")
            follower = ben.follow()
            for number in itertools.count(1):
                message = patient(partial(ann.send, ben, f"{number}", f"{number}")).ok(200, 201)
                until(partial(self.has, follower, message), 30)
                self.come_in(number)
                self.rounds = number
                if self.over.wait(0.5):
                    break
            # Whatever was given up, who polls has an index and a poll without news asks nobody else.
            until(lambda: ben.poll(follower.cursor).headers["x-served-from"] == "cache", 15)

    def has(self, follower: Follower, message: JSON) -> bool:
        follower.once()
        return message["seq"] in follower.seqs(message["chat_id"])

    def come_in(self, number: int) -> None:
        """Register and log in at an address of their own, and ask for an export."""
        with at(self.stage, f"127.0.{1 + number // 250}.{1 + number % 250}") as server:
            person = registered(server, "new")
            login = partial(server.post, "/login", username=person.username)
            patient(partial(login, password=PASSWORD)).ok(200)
            refused = patient(partial(login, password="wrong"))
            assert refused.status == 401, refused
            patient(partial(person.post, "/export")).ok(202)

    def measure(self) -> None:
        """Hold the cache's memory and the sweeper's word against what they may be."""
        with self.stage.valkey() as client:
            about = client.info("memory")
            said = client.hget("fresh", "ms")
            seconds, micros = client.time()
        share = about["used_memory"] / about["maxmemory"]
        self.largest = max(self.largest, share)
        if share > self.most:
            self.problems.append(f"the cache uses {share:.0%} of its memory")
        age = seconds + micros / 1e6 - int(said or 0) / 1000
        if age > SWEEPER_SECONDS:
            self.problems.append(f"the sweeper is {age:.1f} s late")

    def guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception:  # noqa: BLE001 - whatever it is, it is a finding
            self.problems.append(traceback.format_exc())

    def __str__(self) -> str:
        return (
            f"{self.sent} sent, {self.refused} refused, {self.rounds} came in, "
            f"at most {self.largest:.0%} of the cache"
        )
