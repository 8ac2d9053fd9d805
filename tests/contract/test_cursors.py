"""The cursor: opaque, small, one user's own, good for ever, and nobody can make one."""

import base64
import random
import string
from functools import partial

import pytest

from tests.contract.cache import flush
from tests.http import Follower, Person, Server, at_once

ALPHABET = string.ascii_letters + string.digits + "-_+/=.:~ \n"


@pytest.fixture
def cursor(ann: Person, ben: Person) -> str:
    """A cursor of Ann's."""
    ben.send(ann, "x").ok(201)
    text: str = ann.poll().ok()["cursor"]
    return text


def test_another_users_cursor_is_a_400(ben: Person, cursor: str) -> None:
    ben.poll(cursor).refused(400, attr="cursor")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x",
        "null",
        "0",
        "é",
        "🦊",
        "=",
        ".",
        "a.b",
        "a:b:c",
        "x" * 4096,
        "x" * 4097,
        "x" * 100_000,
    ],
)
def test_no_cursor_at_all_is_a_400(ann: Person, text: str) -> None:
    ann.poll(text).refused(400, attr="cursor")


def test_a_truncated_cursor_is_a_400(ann: Person, cursor: str) -> None:
    for length in range(1, len(cursor)):
        ann.poll(cursor[:length]).refused(400)


def test_a_changed_character_anywhere_is_a_400(ann: Person, cursor: str) -> None:
    chance = random.Random(3)
    for place in range(len(cursor)):
        for other in chance.sample([c for c in ALPHABET if c != cursor[place]], 3):
            ann.poll(cursor[:place] + other + cursor[place + 1 :]).refused(400)


def test_any_other_last_character_is_a_400(ann: Person, cursor: str) -> None:
    for other in ALPHABET:
        if other != cursor[-1]:
            ann.poll(cursor[:-1] + other).refused(400)


def test_anything_added_is_a_400(ann: Person, cursor: str) -> None:
    for text in (
        cursor + "=",
        cursor + "==",
        cursor + " ",
        cursor + "\n",
        " " + cursor,
        cursor + "A",
        "A" + cursor,
        cursor + cursor,
        cursor.swapcase(),
        cursor.lower(),
        cursor.upper(),
        cursor[::-1],
        cursor.replace(".", ":"),
        cursor.replace(".", "=."),
        cursor.replace(".", "=="),
        cursor.replace("-", "+").replace("_", "/") + "=",
    ):
        if text != cursor:
            ann.poll(text).refused(400)


def test_the_other_base64_alphabet_is_a_400(server: Server) -> None:
    found = 0
    for person in server.crowd(12):
        text = person.poll().ok()["cursor"]
        other = text.replace("-", "+").replace("_", "/")
        if other != text:
            found += 1
            person.poll(other).refused(400)
    assert found


def test_a_payload_without_its_signature_is_a_400(ann: Person, ben: Person, cursor: str) -> None:
    theirs = ben.poll().ok()["cursor"]
    for mark in (".", ":", "-", "_"):
        payload, found, signature = cursor.rpartition(mark)
        if found:
            ann.poll(payload).refused(400)
            ann.poll(payload + found).refused(400)
            ann.poll(found + signature).refused(400)
            ben.poll(payload + found + theirs.rpartition(mark)[2]).refused(400)
            ann.poll(payload + "=" + found + signature).refused(400)
    ann.poll(base64.urlsafe_b64encode(cursor.encode()).decode()).refused(400)


def test_two_halves_of_ones_own_cursors_are_a_400(ann: Person, ben: Person, cursor: str) -> None:
    ben.send(ann, "y").ok(201)
    later = ann.poll(cursor).ok()["cursor"]
    assert later != cursor
    for place in range(8, min(len(cursor), len(later)), 5):
        mixed = cursor[:place] + later[place:]
        if mixed not in {cursor, later}:
            ann.poll(mixed).refused(400)


def test_it_outlives_its_token(server: Server) -> None:
    ann = server.person("ann", "correct horse battery 7")
    ben = server.person("ben")
    cursor = ann.poll().ok()["cursor"]
    chat = ben.send(ann, "x").ok(201)["chat_id"]
    token = server.post("/login", username=ann.username, password="correct horse battery 7").ok()[
        "token"
    ]
    ann.post("/logout")
    ann.token = token
    late = Follower(ann, cursor=cursor)
    late.until_quiet()
    assert late.seqs(chat) == [1]


def test_a_cursor_that_missed_thousands_is_answered(
    server: Server, ann: Person, redis_url: str
) -> None:
    others = server.people(*"abcd")
    group = ann.group(*others)
    follower = ann.follow(limit=500)
    follower.until_quiet()
    first = len(follower.got[group["group_id"]])
    at_once(
        [partial(others[n % 4].send_group, group, f"{n}") for n in range(2500)],
        threads=8,
    )
    stale = follower.cursor
    follower.until_quiet()
    assert follower.seqs(group["group_id"]) == list(range(1, first + 2501))
    for limit, emptied in ((7, False), (500, True)):
        if emptied:
            flush(redis_url)
        late = Follower(ann, limit, stale)
        late.until_quiet()
        assert late.got[group["group_id"]] == follower.got[group["group_id"]][first:]


@pytest.fixture(scope="module")
def busy(server: Server) -> tuple[Person, dict[str, int], str]:
    """Somebody in 600 chats, all active in the last minute; how much is in each; a cursor before."""
    busy = server.person("busy")
    before = busy.poll().ok()["cursor"]
    groups = [busy.group for _ in range(600)]
    made = at_once(groups, threads=8)
    length = {group["group_id"]: 1 for group in made}
    for chat in random.Random(1).sample(list(length), 200):
        busy.send_group(chat, "more").ok(201)
        length[chat] = 2
    return busy, length, before


@pytest.mark.parametrize("limit", [7, 500])
@pytest.mark.parametrize("kind", ["first", "stale"])
def test_six_hundred_active_chats_are_paged_through(
    busy: tuple[Person, dict[str, int], str], limit: int, kind: str
) -> None:
    person, length, before = busy
    follower = Follower(person, limit, None if kind == "first" else before)
    follower.until_quiet()
    expected = {chat: list(range(1, end + 1)) for chat, end in length.items()}
    assert {chat: follower.seqs(chat) for chat in follower.got} == expected


def test_a_cursor_in_the_middle_of_six_hundred_chats_stays_small_and_right(
    busy: tuple[Person, dict[str, int], str], redis_url: str
) -> None:
    person, length, _ = busy
    follower = person.follow(limit=13)
    chance = random.Random(5)
    extra: dict[str, int] = dict.fromkeys(length, 0)
    # Written to while they are read, in another order, and with an emptied cache now and then.
    for turn in range(60):
        for chat in chance.sample(list(length), 5):
            person.send_group(chat, f"turn {turn}").ok(201)
            extra[chat] += 1
        follower.once()
        if turn % 20 == 10:
            flush(redis_url)
    follower.until_quiet()
    for chat, end in length.items():
        assert follower.seqs(chat) == list(range(1, end + extra[chat] + 1))


@pytest.mark.slow
def test_a_large_group_is_heard_behind_two_thousand_other_chats(server: Server) -> None:
    busy, *crowd = server.crowd(111)
    large = crowd[0].group(busy, *crowd[1:])["group_id"]
    at_once([busy.group] * 2100, threads=8)
    follower = busy.follow(limit=500)
    follower.until_quiet()
    follower.until_quiet()
    message = crowd[1].send_group(large, "to all").ok(201)
    follower.until_quiet()
    assert follower.got[large][-1] == message
