"""A crowd that asks for what takes long: `python -m scripts.bench.crowd URL FILE`.

FILE has a request a line, as `load.write` writes them; each has a thread of its own, which sends it
over and over, waits where it is told to, and reads what it got, until the standard input ends. A
process of its own that stands back: crowds come from other machines. It prints a line when it has
its first answer, and at its end how many it got, by status, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import Counter
from pathlib import Path

import httpx

NICENESS = 19
TIMEOUT_SECONDS = 30.0
READING_SECONDS = 1.0
"""How long somebody looks at a page before they ask for the next one."""


class Crowd:
    """The threads, what they got, and the word to go home."""

    def __init__(self, url: str, lines: list[str]) -> None:
        self._url = url
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.answers: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._ask, args=(line,)) for line in lines]

    def run(self) -> None:
        """Ask until the standard input ends."""
        for thread in self._threads:
            thread.start()
        sys.stdin.read()
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, line: str) -> None:
        method, path, token, body = line.split("\t", 3)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body:
            headers["Content-Type"] = "application/json"
        with httpx.Client(base_url=self._url, timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            while not self._over.is_set():
                try:
                    answer = client.request(method, path, content=body or None, headers=headers)
                except httpx.HTTPError as error:
                    self._note(type(error).__name__)
                    continue
                self._note(str(answer.status_code))
                pause = READING_SECONDS if method == "GET" and answer.is_success else 0
                self._over.wait(float(answer.headers.get("Retry-After", pause)))

    def _note(self, what: str) -> None:
        with self._lock:
            if not self.answers:
                sys.stdout.write("begun\n")
                sys.stdout.flush()
            self.answers[what] += 1


if __name__ == "__main__":
    os.nice(NICENESS)
    crowd = Crowd(sys.argv[1], Path(sys.argv[2]).read_text(encoding="utf-8").splitlines())
    crowd.run()
    sys.stdout.write(json.dumps(crowd.answers) + "\n")
