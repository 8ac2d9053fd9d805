"""Polls and sends while a crowd logs in and reads cold pages, which may not starve them."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from config import options
from config.stack.live import LiveStack
from scripts.bench import load
from scripts.bench.figures import Meanwhile
from scripts.bench.load import Outcome, Request
from scripts.demo.client import Server

CROWD = 24
"""So many log in, and as many read cold pages."""
CONNECTIONS = 2
ROUNDS = 3
PASSWORD = "a bench that nobody else knows"  # noqa: S105  # nosec B105 # of users made for the run
SOUND = frozenset({"200", "503"})


class Storm:
    """Measures; `answers` says what the crowd got, `problems` what it should not have."""

    def __init__(self, folder: Path, stack: LiveStack, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._stack = stack
        self._say = say
        self.problems: list[str] = []
        self.answers: dict[str, int] = {}

    def measure(self, cold: Sequence[Request], seconds: float) -> list[Meanwhile]:
        """Return polls and sends without the crowd and beside it, in turn."""
        # They need Django set up.
        from scripts.bench import fill  # noqa: PLC0415
        from scripts.bench.world import IDLE, SENT, poll, send  # noqa: PLC0415

        self._say("a crowd that logs in and reads cold pages")
        server = Server(self._stack.base_url, threads=CROWD)
        people = fill.people(200)
        ring = [(one, people[place - 1]) for place, one in enumerate(people)]
        fill.private_chats(ring, 3)
        # Sends of one half must not be news to the other, whose polls are to be idle.
        idlers = fill.people(200)
        fill.private_chats([(one, idlers[place - 1]) for place, one in enumerate(idlers)], 3)
        cursors = [_caught_up(server, one.token) for one in idlers]
        works = {
            "polls": ([poll(*one) for one in zip(idlers, cursors, strict=True)], IDLE),
            "sends": ([send(*one) for one in ring], SENT),
        }
        crowd = [*_logins(server), *cold[:CROWD]]
        found: dict[str, list[tuple[Outcome, Outcome]]] = {name: [] for name in works}
        file = self._folder / "requests"
        for _ in range(ROUNDS):
            for name, (requests, expected) in works.items():
                load.write(file, requests)

                def run(expected: Any = expected) -> Outcome:
                    return load.run(
                        self._stack.base_url, file, expected, seconds=seconds,
                        connections=CONNECTIONS,
                    )  # fmt: skip

                quiet = run()
                with self._crowd(crowd):
                    found[name].append((quiet, run()))
        return [
            Meanwhile(f"{title} {name}", outcome, covered=True)
            for name, pairs in found.items()
            for title, outcome in zip(("quiet", "stormy"), _middle(pairs), strict=True)
        ]

    @contextmanager
    def _crowd(self, requests: Sequence[Request]) -> Iterator[None]:
        file = self._folder / "crowd"
        load.write(file, requests)
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.bench.crowd", self._stack.base_url, str(file)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=options.BASE_DIR,
        )  # fmt: skip
        try:
            if process.stdout is not None:
                process.stdout.readline()
            yield
        finally:
            output, _ = process.communicate()
        for status, number in json.loads(output).items():
            self.answers[status] = self.answers.get(status, 0) + number
            if status not in SOUND:
                self.problems.append(f"the crowd got {number} times {status}")


def _middle(pairs: Sequence[tuple[Outcome, Outcome]]) -> tuple[Outcome, Outcome]:
    """Return the pair in the middle by how much slower it was beside the crowd."""
    return sorted(pairs, key=lambda pair: pair[1].p99 / max(pair[0].p99, 1))[len(pairs) // 2]


def _logins(server: Server) -> list[Request]:
    names = [f"storm-{secrets.token_hex(6)}" for _ in range(CROWD)]
    bodies = [json.dumps({"username": name, "password": PASSWORD}) for name in names]
    for body in bodies:
        server.expect((201,), "/register", json.loads(body))
    return [Request("POST", "/login", body=body) for body in bodies]


def _caught_up(server: Server, token: str) -> str:
    cursor = ""
    while True:
        body: dict[str, Any] = {"cursor": cursor} if cursor else {}
        answer = server.expect((200,), "/get_messages", body, token).data
        if cursor and not answer["chats"]:
            return str(answer["cursor"])
        cursor = answer["cursor"]
