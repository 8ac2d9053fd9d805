"""Limits on a whole stack, from addresses that are not free: whichever worker answers."""

import json
import secrets
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from config.stack.folder import some_free_port
from config.stack.live import LiveStack
from tests.http import at_once

PASSWORD = "correct horse battery 7"
HERE = "127.0.0.2"
"""An address of this machine that no limit leaves out."""


@pytest.fixture(scope="module")
def limited(passable_folder: Path) -> Iterator[LiveStack]:
    settings = {"LIMIT_SENDS_PER_MINUTE": "20", "LIMIT_POLLS_PER_MINUTE": "20", "WEB_WORKERS": "3"}
    with LiveStack(passable_folder / "limited", some_free_port(), settings) as stack:
        yield stack


def client(stack: LiveStack, address: str = HERE) -> httpx.Client:
    """Return a client that connects anew for each request, so that any worker may answer."""
    transport = httpx.HTTPTransport(
        local_address=address, limits=httpx.Limits(max_keepalive_connections=0)
    )
    return httpx.Client(base_url=stack.base_url, transport=transport, timeout=30)


def person(stack: LiveStack, password: str | None = None) -> dict[str, str]:
    body = {"username": f"someone-{secrets.token_hex(6)}"}
    if password:
        body["password"] = password
    answer = client(stack, "127.0.0.1").post("/register", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, str] = answer.json()
    return found


def busy_workers(stack: LiveStack) -> dict[int, float]:
    return {one.pid: sum(one.cpu_times()[:2]) for one in stack.workers()}


@pytest.mark.parametrize("path", ["/send_message", "/get_messages"])
def test_a_user_s_quota_is_one_over_all_workers(limited: LiveStack, path: str) -> None:
    ann, ben = person(limited), person(limited)
    bearer = {"Authorization": f"Bearer {ann['token']}"}
    body = {"recipient_id": ben["user_id"], "text": "x"} if path == "/send_message" else {}
    before = busy_workers(limited)
    http = client(limited)
    answers = at_once([partial(http.post, path, json=body, headers=bearer)] * 60)
    after = busy_workers(limited)
    found = Counter(answer.status_code for answer in answers)
    # One comes back each three seconds.
    good = found[201] + found[200]
    assert 20 <= good <= 30, found
    assert found[429] == 60 - good
    assert sum(after[pid] > before.get(pid, 0.0) for pid in after) >= 2
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert 1 <= int(refused.headers["Retry-After"]) <= 3
    assert (
        refused.headers["RateLimit"]
        == f'"{path_limit(path)}";r=0;t={refused.headers["Retry-After"]}'
    )
    free = client(limited, "127.0.0.1")
    assert free.post(path, json=body, headers=bearer).status_code in {200, 201}


def path_limit(path: str) -> str:
    return "sends" if path == "/send_message" else "polls"


def test_failed_logins_are_counted_over_all_workers(limited: LiveStack) -> None:
    ann = person(limited, PASSWORD)

    def log_in(password: str, address: str = HERE) -> httpx.Response:
        body = {"username": ann["username"], "password": password}
        return client(limited, address).post("/login", json=body)

    def guess() -> httpx.Response:
        """Guess once, coming back when too many others are hashed at the moment."""
        while (answer := log_in("wrong")).status_code == 503:
            assert answer.json()["errors"][0]["code"] == "busy"
        return answer

    found = Counter(answer.status_code for answer in at_once([guess] * 30))
    assert found == {401: 10, 429: 20}
    assert log_in(PASSWORD).status_code == 429
    forged = client(limited).post(
        "/login",
        json={"username": ann["username"], "password": PASSWORD},
        headers={"X-Forwarded-For": "192.0.2.1"},
    )
    assert forged.status_code == 429
    assert log_in(PASSWORD, "127.0.0.3").status_code == 200


def test_with_the_cache_stopped_sends_go_on_and_logins_do_not(limited: LiveStack) -> None:
    ann, ben = person(limited, PASSWORD), person(limited)
    bearer = {"Authorization": f"Bearer {ann['token']}"}
    body = {"recipient_id": ben["user_id"], "text": "x"}
    http = client(limited)
    assert http.post("/send_message", json=body, headers=bearer).status_code == 201
    limited.pause("valkey")
    try:
        for _ in range(30):
            assert http.post("/send_message", json=body, headers=bearer).status_code == 201
        for path, more in (("/login", {"password": PASSWORD}), ("/register", {})):
            answer = http.post(path, json={"username": ann["username"], **more})
            assert answer.status_code == 503, answer.text
            assert json.loads(answer.content)["errors"][0]["code"] == "limits_unavailable"
            assert int(answer.headers["Retry-After"]) > 0
    finally:
        limited.resume("valkey")
