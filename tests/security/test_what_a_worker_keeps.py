"""A worker's memory after the worst requests is what it was: nothing of them is kept."""

import json

import pytest

from config.stack.live import LiveStack
from tests.http import Answer, Person, Server

MEBIBYTE = 1024 * 1024
ROUNDS = 12
MOST_KEPT = 24 * MEBIBYTE
"""What allocators keep for the next request; one such request of old left 860 MiB behind."""


@pytest.fixture(scope="module")
def someone(server: Server) -> Person:
    return server.person("someone")


def resident(stack: LiveStack) -> int:
    """Return the memory of all processes that answer requests, in bytes."""
    return sum(process.memory_info().rss for process in stack.family("web"))


def filled(start: str, item: str, end: str, length: int = MEBIBYTE - 64) -> bytes:
    """Return a body of one item again and again."""
    times = (length - len(start) - len(end)) // len(item)
    return (start + item * times).rstrip(",").encode() + end.encode()


WORST = {
    "ids that are none": ("/create_group", filled('{"name":"a","member_ids":[', "0,", "]}")),
    "nested lists": ("/create_group", filled('{"name":"a","member_ids":', "[", "")),
    "objects": ("/send_message", filled('{"recipient_id":[', "{},", "]}")),
    "many fields": (
        "/send_message",
        json.dumps({f"field{n}": n for n in range(60_000)}).encode()[: MEBIBYTE - 1],
    ),
    "a long text": ("/send_message", filled('{"recipient_id":"', "\\u0001", '"}')),
    "a long name": ("/register", filled('{"username":"a', "\\u0300", '"}')),
}


@pytest.mark.parametrize("name", WORST)
def test_nothing_of_it_is_kept(live_stack: LiveStack, someone: Person, name: str) -> None:
    path, body = WORST[name]

    def ask() -> Answer:
        return someone.server.call("POST", path, token=someone.token, content=body)

    for _ in range(ROUNDS):
        # The first ones load what every such request needs.
        assert 400 <= ask().status < 500
    before = resident(live_stack)
    for _ in range(ROUNDS):
        answer = ask()
        assert 400 <= answer.status < 500
        assert len(answer.content) < 64 * 1024
    assert resident(live_stack) - before < MOST_KEPT
