"""The load: wrk where there is one, else httpx in threads. Neither is counted in the figures."""

from __future__ import annotations

import itertools
import json
import secrets
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

SCRIPT = Path(__file__).with_name("replay.lua")
PLACEHOLDER = "CLIENT_ID_PLACEHOLDE"
FIELDS = 9


@dataclass(frozen=True, slots=True)
class Request:
    """One prepared request."""

    method: str
    path: str
    token: str = ""
    body: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """What every answer must be: its status, a text in it and how often (0: at least once)."""

    status: int
    needle: str
    times: int = 0
    tier: str = "-"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the generator saw; times in microseconds."""

    requests: int
    duration: int
    p50: int
    p99: int
    errors: int
    wrong: int
    elsewhere: int
    example: str

    @property
    def per_second(self) -> float:
        """Return the rate."""
        return self.requests * 1e6 / max(self.duration, 1)


def tool() -> str:
    """Return the generator's name."""
    return "wrk" if shutil.which("wrk") else "httpx"


def write(path: Path, requests: Sequence[Request]) -> None:
    """Write requests to the file that they are replayed from."""
    path.write_text(
        "".join(f"{one.method}\t{one.path}\t{one.token}\t{one.body}\n" for one in requests),
        encoding="utf-8",
    )


def run(
    url: str, file: Path, expected: Expected, *, seconds: float, connections: int = 8
) -> Outcome:
    """Replay a file's requests in turn for some seconds."""
    if tool() == "wrk":
        return _wrk(url, file, expected, seconds=seconds, connections=connections)
    return _httpx(url, file, expected, seconds=seconds, connections=connections)


def _wrk(url: str, file: Path, expected: Expected, *, seconds: float, connections: int) -> Outcome:
    threads = min(2, connections)
    command = [
        "wrk", f"-t{threads}", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout=10s",
        "-s", str(SCRIPT), url, "--", str(file), str(threads), str(expected.status),
        expected.needle, str(expected.times), expected.tier, secrets.token_hex(4),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        name, *fields = line.split("\t", FIELDS - 1)
        if name == "RESULT":
            *numbers, example = fields
            requests, duration, p50, p99, errors, wrong, elsewhere = map(int, numbers)
            return Outcome(requests, duration, p50, p99, errors, wrong, elsewhere, example)
    raise RuntimeError(f"wrk failed: {done.stderr or done.stdout}")


def _httpx(
    url: str, file: Path, expected: Expected, *, seconds: float, connections: int
) -> Outcome:
    lines = itertools.cycle(file.read_text(encoding="utf-8").splitlines())
    run_id, number, lock = secrets.token_hex(4), itertools.count(), threading.Lock()
    times: list[float] = []
    wrong: list[str] = []
    errors, elsewhere = [], []
    end = time.monotonic() + seconds

    def work() -> None:
        with httpx.Client(base_url=url, timeout=10) as client:
            while time.monotonic() < end:
                with lock:
                    method, path, token, body = next(lines).split("\t", 3)
                body = body.replace(PLACEHOLDER, f"{run_id}{next(number):012d}")
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                if body:
                    headers["Content-Type"] = "application/json"
                started = time.perf_counter()
                try:
                    answer = client.request(method, path, content=body or None, headers=headers)
                except httpx.HTTPError as error:
                    errors.append(error)
                    continue
                times.append(time.perf_counter() - started)
                found = answer.text.count(expected.needle)
                if answer.status_code != expected.status or found != (expected.times or found or 1):
                    wrong.append(f"{answer.status_code} {answer.text[:300]}")
                elif expected.tier not in {"-", answer.headers.get("X-Served-From")}:
                    elsewhere.append(path)

    started = time.monotonic()
    workers = [threading.Thread(target=work) for _ in range(connections)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    cuts = statistics.quantiles(times, n=100) if len(times) > 1 else [0.0] * 99
    return Outcome(
        len(times),
        int(1e6 * (time.monotonic() - started)),
        int(1e6 * cuts[49]),
        int(1e6 * cuts[98]),
        len(errors),
        len(wrong),
        len(elsewhere),
        json.dumps(wrong[0]) if wrong else "",
    )
