"""`client_id`: the same sender, chat and client_id gives 200 and the first message."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.contract.cache import flush
from tests.http import Answer, Person, Server, at_once

Sender = Callable[[Any, Any], Answer]


@pytest.fixture(params=["private", "group"])
def send(request: pytest.FixtureRequest, ann: Person, ben: Person) -> Sender:
    """Ann's way of writing to Ben."""
    if request.param == "private":
        return lambda text, client_id: ann.send(ben, text, client_id)
    group = ann.group(ben)
    return lambda text, client_id: ann.send_group(group, text, client_id)


def test_a_repeated_send_is_a_200_and_the_first_message(send: Sender) -> None:
    first = send("x", "c").ok(201)
    assert first["client_id"] == "c"
    assert send("x", "c").ok(200) == first
    assert send("y", "d").ok(201)["seq"] == first["seq"] + 1
    assert send("x", "c").ok(200) == first


def test_another_text_is_a_409(send: Sender) -> None:
    first = send("x", "c").ok(201)
    send("y", "c").refused(409)
    send("x ", "c").refused(409)
    send("e\u0301", "n").ok(201)
    send("\u00e9", "n").refused(409)
    assert send("x", "c").ok(200) == first


def test_it_is_told_from_its_likes_byte_for_byte(send: Sender) -> None:
    ids = [
        "c",
        "C",
        " c",
        "c ",
        "\u00e9",
        "e\u0301",
        "\t",
        "%",
        "_",
        "🦊" * 64,
        "x" * 64,
        "x" * 63,
        "\u200b",
        "0",
        "null",
        "a:b",
        "a,b",
        '"',
        "\\",
    ]
    first = [send("x", client_id).ok(201) for client_id in ids]
    assert [message["client_id"] for message in first] == ids
    assert [send("x", client_id).ok(200) for client_id in ids] == first


def test_none_given_is_null_and_repeats_nothing(send: Sender) -> None:
    assert send("x", None).ok(201)["client_id"] is None
    assert send("x", None).ok(201)["client_id"] is None


def test_an_empty_one_is_a_400(send: Sender) -> None:
    send("x", "").refused(400, attr="client_id")


@pytest.mark.parametrize("known", [True, False])
def test_of_many_at_once_one_is_sent(send: Sender, ann: Person, known: bool) -> None:
    if known:
        send("before", None).ok(201)
    answers = at_once([lambda: send("x", "race")] * 20)
    assert sorted(answer.status for answer in answers) == [200] * 19 + [201]
    assert len({answer.content for answer in answers}) == 1
    chat = answers[0].body["chat_id"]
    assert sum(message["text"] == "x" for message in ann.history(chat)) == 1
    nxt = send("y", None).ok(201)
    assert nxt["seq"] == answers[0].body["seq"] + 1


@pytest.mark.parametrize("known", [True, False])
def test_of_many_texts_at_once_one_is_sent(send: Sender, ann: Person, known: bool) -> None:
    if known:
        send("text before", None).ok(201)
    answers = at_once([partial(send, f"text {n}", "race") for n in range(20)])
    assert sorted(answer.status for answer in answers) == [201] + [409] * 19
    [first] = [answer.body for answer in answers if answer.status == 201]
    texts = [m["text"] for m in ann.history(first["chat_id"]) if m["client_id"] == "race"]
    assert texts == [first["text"]]


def test_first_messages_at_once_with_one_client_id_are_one(ann: Person, ben: Person) -> None:
    answers = at_once([lambda: ann.send(ben, "x", "race"), lambda: ben.send(ann, "x", "race")] * 8)
    assert sorted(answer.status for answer in answers) == [200] * 14 + [201] * 2
    assert {answer.body["seq"] for answer in answers} == {1, 2}


def test_two_senders_may_use_the_same_one(ann: Person, ben: Person) -> None:
    one = ann.send(ben, "x", "c").ok(201)
    two = ben.send(ann, "y", "c").ok(201)
    assert one["seq"] != two["seq"]
    assert ben.send(ann, "y", "c").ok(200) == two
    group = ann.group(ben)
    assert (
        ann.send_group(group, "a", "c").ok(201)["seq"] + 1
        == ben.send_group(group, "b", "c").ok(201)["seq"]
    )


def test_two_chats_may_use_the_same_one(ann: Person, ben: Person, cid: Person) -> None:
    ann.send(ben, "x", "c").ok(201)
    ann.send(cid, "y", "c").ok(201)
    ann.send_group(ann.group(ben), "z", "c").ok(201)


def test_others_see_it_as_null(ann: Person, ben: Person, redis_url: str) -> None:
    group = ann.group(ben)
    sent = [ann.send(ben, "x", "c").ok(201), ann.send_group(group, "x", "c").ok(201)]
    for emptied in (False, True):
        for message in sent:
            chat = message["chat_id"]
            for person, seen in ((ann, message), (ben, {**message, "client_id": None})):
                if emptied:
                    flush(redis_url)
                assert person.messages(chat, limit=1).ok()["results"] == [seen]
                if emptied:
                    flush(redis_url)
                [found] = [c for c in person.poll().ok()["chats"] if c["chat_id"] == chat]
                assert found["messages"][-1] == seen
                follower = person.follow()
                follower.until_quiet()
                assert follower.got[chat][-1] == seen


def test_the_sender_sees_it_in_what_is_new_and_others_do_not(ann: Person, ben: Person) -> None:
    ann.send(ben, "x").ok(201)
    followers = [ann.follow(), ben.follow()]
    for follower in followers:
        follower.until_quiet()
    message = ann.send(ben, "y", "mine").ok(201)
    for follower, seen in zip(followers, (message, {**message, "client_id": None}), strict=True):
        follower.until_quiet()
        assert follower.got[message["chat_id"]][-1] == seen


def test_it_is_a_200_after_a_block(ann: Person, ben: Person) -> None:
    message = ann.send(ben, "x", "c").ok(201)
    ben.block(ann).ok(201)
    assert ann.send(ben, "x", "c").ok(200) == message
    ann.send(ben, "y", "c").refused(409)
    ann.send(ben, "x", "d").refused(403, "blocked")


def test_it_is_a_200_after_a_removal(ann: Person, ben: Person) -> None:
    group = ann.group(ben)
    message = ben.send_group(group, "x", "c").ok(201)
    ann.remove(group, ben).ok(200)
    assert ben.send_group(group, "x", "c").ok(200) == message
    ben.send_group(group, "x", "d").refused(404)
    ben.send_group(group, "x").refused(404)


def test_it_is_a_200_after_leaving_and_coming_back(ann: Person, ben: Person) -> None:
    group = ann.group(ben)
    message = ben.send_group(group, "x", "c").ok(201)
    ben.remove(group, ben).ok(200)
    assert ben.send_group(group, "x", "c").ok(200) == message
    ann.add(group, ben).ok(201)
    assert ben.send_group(group, "x", "c").ok(200) == message


def test_a_stranger_learns_nothing_by_it(ann: Person, ben: Person, eve: Person) -> None:
    group = ann.group(ben)
    ann.send_group(group, "x", "c").ok(201)
    eve.send_group(group, "x", "c").refused(404)


def test_it_holds_when_the_cache_is_gone(send: Sender, redis_url: str) -> None:
    first = send("x", "c").ok(201)
    flush(redis_url)
    assert send("x", "c").ok(200) == first
    flush(redis_url)
    send("y", "c").refused(409)


def test_it_holds_behind_a_thousand_others(server: Server, ann: Person, ben: Person) -> None:
    group = ann.group(ben)
    first = ann.send_group(group, "x", "c").ok(201)
    at_once([partial(ben.send_group, group, f"{n}") for n in range(300)], threads=8)
    assert ann.send_group(group, "x", "c").ok(200) == first
