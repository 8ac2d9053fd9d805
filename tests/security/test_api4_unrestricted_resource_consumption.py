"""API4:2023. What one request may cost is bounded, and how many of them one may send."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.stack.folder import some_free_port
from config.stack.live import LiveStack
from tests.http import Person, Server

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that lets nobody do anything more than a few times."""
    folder: Path = tmp_path_factory.mktemp("strict")
    folder.chmod(0o711)
    folder.parent.chmod(0o711)
    limits = {
        "LIMIT_FREE_ADDRESSES": "none",
        "LIMIT_SENDS_PER_MINUTE": "5",
        "LIMIT_POLLS_PER_MINUTE": "5",
        "LIMIT_READS_PER_MINUTE": "5",
        "LIMIT_WRITES_PER_MINUTE": "5",
        "LIMIT_REGISTRATIONS_PER_HOUR": "4",
        "LIMIT_LOGIN_FAILURES_PER_HOUR": "3",
    }
    with LiveStack(folder / "stack", port=some_free_port(), settings=limits) as stack:
        server = Server(stack.base_url)
        yield server
        server.close()


@pytest.fixture(scope="module")
def two(strict: Server) -> tuple[Person, Person]:
    return strict.person("ann", password="a long sentence"), strict.person("ben")


def test_each_user_may_do_each_thing_so_often_and_is_told_when_again(
    two: tuple[Person, Person],
) -> None:
    ann, ben = two
    for act in (
        lambda: ann.send(ben, "x"),
        ann.poll,
        lambda: ann.get("/chats/"),
        lambda: ann.block(ben),
    ):
        answers = [act() for _ in range(8)]
        refused = [answer for answer in answers if answer.status == 429]
        assert len(refused) == 3, answers
        for answer in refused:
            answer.refused(429, "throttled")
            assert 0 < int(answer.headers["retry-after"]) <= 60
            assert answer.headers["ratelimit"]
        # The other one is not held to account for it.
        assert ben.get("/users/me/").status == 200


def test_a_password_is_not_guessed_by_trying(strict: Server, two: tuple[Person, Person]) -> None:
    ann, _ = two
    found = [
        strict.post("/login", username=ann.username, password=f"guess {n}").status for n in range(8)
    ]
    assert found == [401] * 3 + [429] * 5


def test_accounts_are_not_made_by_the_thousand(strict: Server, two: tuple[Person, Person]) -> None:
    found = [strict.post("/register", username=f"bot-{n}").status for n in range(6)]
    assert found == [201] * 2 + [429] * 4


@pytest.mark.parametrize("forged", ["10.0.0.7", "127.0.0.1", "::1", "1.2.3.4, 5.6.7.8", "x"])
def test_a_forged_address_is_no_fresh_start(strict: Server, forged: str) -> None:
    headers = {"x-forwarded-for": forged, "x-real-ip": forged, "forwarded": f"for={forged}"}
    answer = strict.call(
        "POST", "/register", json_body={"username": "another-bot"}, headers=headers
    )
    assert answer.status == 429


@pytest.mark.parametrize("path", ["/register", "/send_message", "/get_messages", "/create_group"])
def test_a_body_has_a_limit(server: Server, ann: Person, path: str) -> None:
    body = json.dumps({"text": "x" * (2 * MIB)}).encode()
    server.call("POST", path, token=ann.token, content=body).refused(413, "body_too_large")
    chunks = (body[n : n + 65536] for n in range(0, len(body), 65536))
    server.call("POST", path, token=ann.token, content=chunks).refused(413, "body_too_large")


def test_a_packed_body_is_not_unpacked(server: Server, ann: Person) -> None:
    bomb = gzip.compress(b" " * (200 * MIB))
    answer = server.call(
        "POST",
        "/get_messages",
        token=ann.token,
        content=bomb,
        headers={"content-encoding": "gzip"},
    )
    assert answer.status in {400, 413, 415}, answer


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"limit": ' + b"9" * 100_000 + b"}",
        b'{"limit": 1e400}',
        b'{"cursor": "' + b"A" * 900_000 + b'"}',
        b"{" + b",".join(b'"f%d": 1' % n for n in range(50_000)) + b"}",
    ],
    ids=["arrays", "objects", "digits", "exponent", "cursor", "fields"],
)
def test_a_body_that_is_hard_to_read_is_refused_or_read_but_no_harm(
    server: Server, ann: Person, body: bytes
) -> None:
    answer = server.call("POST", "/get_messages", token=ann.token, content=body)
    assert answer.status in {200, 400}, answer
    ann.get("/users/me/").ok()


@pytest.mark.parametrize("limit", [501, 10**9, 10**30, -1, 0])
def test_an_answer_has_a_limit(ann: Person, ben: Person, limit: int) -> None:
    ann.poll(limit=limit).refused(400, attr="limit")
    chat = ann.send(ben, "x").ok(201)
    ann.messages(chat, limit=limit).refused(400, attr="limit")
    ann.get("/chats/", limit=limit).refused(400, attr="limit")


def test_texts_names_and_groups_have_limits(ann: Person, ben: Person) -> None:
    ann.send(ben, "x" * 4097).refused(400, attr="text")
    ann.create_group("x" * 10_000).refused(400, attr="name")
    ann.create_group("x", [ben.user_id] * 200_000).refused(413)
    ann.create_group("x", [ben.user_id] * 20_000).refused(400)
    ann.create_group("x", [ben.user_id] * 5_000).refused(400, attr="member_ids")
    ann.send(ben, "x", "c" * 65).refused(400, attr="client_id")


def test_many_headers_and_a_long_path_are_refused(server: Server, ann: Person) -> None:
    assert server.call("GET", "/chats/" + "x" * 20_000, token=ann.token).status in {404, 414}
    many = {f"x-{n}": "x" for n in range(90)}
    server.call("GET", "/users/me/", token=ann.token, headers=many).ok()
