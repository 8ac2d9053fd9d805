"""`/get_messages`: the first poll, what is new since, and what `limit` cuts."""

import random
from functools import partial

import psycopg
import pytest

from tests.contract.cache import flush
from tests.http import ABSENT, JSON, Person, Server, at_once, check_inbox


def chat_of(body: JSON, chat_id: str) -> JSON:
    found: JSON
    [found] = [chat for chat in body["chats"] if chat["chat_id"] == chat_id]
    return found


def make_old(database_url: str, *chat_ids: str) -> None:
    """Put the messages of chats two hours back, as if nothing had been said since."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        for chat_id in chat_ids:
            connection.execute(
                "UPDATE messaging_message SET sent_at = sent_at - interval '2 hours' WHERE chat_id = %s",
                [chat_id],
            )
            connection.execute(
                "UPDATE messaging_chat SET last_at = last_at - interval '2 hours' WHERE id = %s",
                [chat_id],
            )


def test_one_without_chats_gets_nothing_and_a_cursor(ann: Person) -> None:
    body = ann.poll().ok()
    check_inbox(body, 100)
    assert body["chats"] == []
    assert (body["has_more"], body["reset"]) == (False, False)
    again = ann.poll(body["cursor"]).ok()
    check_inbox(again, 100)
    assert again["chats"] == []


def test_a_body_is_not_needed(server: Server, ann: Person) -> None:
    answer = server.call("POST", "/get_messages", token=ann.token, content=b"{}")
    answer.ok(200)


def test_a_cursor_of_null_is_none(ann: Person, ben: Person) -> None:
    ann.send(ben, "x").ok(201)
    answer = ben.poll(None, None)
    if answer.status == 400:
        answer.problem()
    else:
        assert len(answer.ok()["chats"]) == 1


def test_the_first_poll_shows_each_active_chat(ann: Person, ben: Person, cid: Person) -> None:
    private = ann.send(ben, "one").ok(201)
    group = cid.group(ben, name="The group")
    body = ben.poll().ok()
    check_inbox(body, 100)
    assert {chat["chat_id"] for chat in body["chats"]} == {private["chat_id"], group["group_id"]}
    chat = chat_of(body, private["chat_id"])
    assert (chat["kind"], chat["name"], chat["start"], chat["end"]) == (
        "private",
        ann.display_name,
        1,
        1,
    )
    assert chat["messages"] == [private]
    assert chat_of(body, group["group_id"])["name"] == "The group"
    assert not body["has_more"]


def test_the_first_poll_shows_the_last_fifty(ann: Person, ben: Person, redis_url: str) -> None:
    sent = [ann.send(ben, f"{n}").ok(201) for n in range(60)]
    for emptied in (False, True):
        if emptied:
            flush(redis_url)
        [chat] = ben.poll(limit=500).ok()["chats"]
        assert (chat["start"], chat["end"]) == (1, 60)
        assert chat["messages"] == sent[-50:]


def test_what_was_before_the_first_poll_does_not_come_later(ann: Person, ben: Person) -> None:
    for n in range(60):
        ann.send(ben, f"{n}").ok(201)
    follower = ben.follow(limit=500)
    follower.until_quiet()
    chat = ann.send(ben, "60").ok(201)["chat_id"]
    follower.until_quiet()
    assert follower.seqs(chat) == list(range(11, 62))


@pytest.mark.parametrize("limit", [1, 2, 7, 49, 50, 51])
def test_limit_cuts_the_first_poll_too(server: Server, ann: Person, limit: int) -> None:
    others = server.people("x", "y", "z")
    chats = {}
    for other, count in zip(others, (60, 3, 20), strict=True):
        for n in range(count):
            chats[other.send(ann, f"{n}").ok(201)["chat_id"]] = count
    body = ann.poll(limit=limit).ok()
    assert body["has_more"]
    assert 0 < sum(len(chat["messages"]) for chat in body["chats"]) <= limit
    follower = ann.follow(limit=limit)
    follower.until_quiet()
    assert {chat: follower.seqs(chat) for chat in chats} == {
        chat: list(range(max(1, count - 49), count + 1)) for chat, count in chats.items()
    }


@pytest.mark.parametrize("limit", [73, 74, 500])
def test_what_fits_the_limit_comes_in_one_answer(server: Server, ann: Person, limit: int) -> None:
    for other, count in zip(server.people("x", "y", "z"), (60, 3, 20), strict=True):
        for n in range(count):
            other.send(ann, f"{n}").ok(201)
    follower = ann.follow(limit)
    body = follower.once()
    assert sum(len(chat["messages"]) for chat in body["chats"]) == 73
    assert not body["has_more"]


@pytest.mark.parametrize("limit", [83, 84, 500])
def test_news_that_fit_the_limit_come_in_one_answer(
    server: Server, ann: Person, limit: int, redis_url: str
) -> None:
    cursor = ann.poll().ok()["cursor"]
    for other, count in zip(server.people("x", "y", "z"), (60, 3, 20), strict=True):
        for n in range(count):
            other.send(ann, f"{n}").ok(201)
    for emptied in (False, True):
        if emptied:
            flush(redis_url)
        body = ann.poll(cursor, limit).ok()
        assert sum(len(chat["messages"]) for chat in body["chats"]) == 83
        assert not body["has_more"]


def test_news_while_a_first_poll_is_paged_through_come_too(
    ann: Person, ben: Person, cid: Person
) -> None:
    chat = ""
    for n in range(60):
        chat = ann.send(ben, f"{n}").ok(201)["chat_id"]
    follower = ben.follow(limit=9)
    follower.once()
    for n in range(60, 70):
        ann.send(ben, f"{n}").ok(201)
    other = cid.send(ben, "hello").ok(201)["chat_id"]
    follower.once()
    ann.send(ben, "70").ok(201)
    follower.until_quiet()
    assert follower.seqs(chat) == list(range(11, 72))
    assert follower.seqs(other) == [1]


def test_without_an_active_chat_the_five_latest_are_shown(
    server: Server, ann: Person, database_url: str, redis_url: str
) -> None:
    others = server.people(*"abcdefg")
    chats = [other.send(ann, "x").ok(201)["chat_id"] for other in others]
    make_old(database_url, *chats)
    flush(redis_url)
    for _ in range(2):
        body = ann.poll().ok()
        assert {chat["chat_id"] for chat in body["chats"]} == set(chats[-5:])
    others[0].send(ann, "y").ok(201)
    body = ann.poll().ok()
    assert [chat["chat_id"] for chat in body["chats"]] == [chats[0]]
    assert [m["seq"] for m in body["chats"][0]["messages"]] == [1, 2]


def test_a_chat_that_was_not_shown_first_is_new_later(
    server: Server, ann: Person, database_url: str, redis_url: str
) -> None:
    others = server.people(*"abcdefg")
    chats = [other.send(ann, "x").ok(201)["chat_id"] for other in others]
    make_old(database_url, *chats)
    flush(redis_url)
    follower = ann.follow()
    follower.until_quiet()
    sent = others[0].send(ann, "y").ok(201)
    follower.until_quiet()
    assert follower.got[chats[0]] == [sent]


def test_with_a_cursor_only_what_is_new_comes(ann: Person, ben: Person, cid: Person) -> None:
    ann.send(ben, "one").ok(201)
    cid.send(ben, "other").ok(201)
    cursor = ben.poll().ok()["cursor"]
    message = ann.send(ben, "two").ok(201)
    body = ben.poll(cursor).ok()
    check_inbox(body, 100)
    [chat] = body["chats"]
    assert chat["messages"] == [message]
    assert (chat["start"], chat["end"], chat["name"], chat["kind"]) == (
        1,
        2,
        ann.display_name,
        "private",
    )
    # The same cursor gets the same answer; the next one nothing.
    again = ben.poll(cursor).ok()
    assert again["chats"] == body["chats"]
    assert ben.poll(body["cursor"]).ok()["chats"] == []


def test_ones_own_messages_come_too(ann: Person, ben: Person) -> None:
    follower = ann.follow()
    follower.once()
    message = ann.send(ben, "one", "c").ok(201)
    body = follower.once()
    assert body["chats"][0]["messages"] == [message]


def test_what_happens_to_a_group_comes_too(ann: Person, ben: Person, cid: Person) -> None:
    follower = ben.follow()
    follower.once()
    group = ann.group(ben)
    ann.add(group, cid).ok(201)
    ann.set_role(group, cid, "admin").ok(200)
    cid.remove(group, ben).ok(200)
    ann.send_group(group, "secret").ok(201)
    follower.until_quiet()
    assert follower.got[group["group_id"]] == ben.history(group["group_id"])
    assert len(follower.got[group["group_id"]]) >= 4


def test_a_new_member_gets_news_from_the_joining_on(ann: Person, ben: Person) -> None:
    group = ann.group()
    for n in range(5):
        ann.send_group(group, f"before {n}").ok(201)
    follower = ben.follow()
    follower.until_quiet()
    ann.add(group, ben).ok(201)
    ann.send_group(group, "after").ok(201)
    body = follower.once()
    [chat] = body["chats"]
    assert (chat["start"], chat["end"]) == (7, 8)
    assert follower.seqs(group["group_id"]) == [7, 8]


@pytest.mark.parametrize("limit", [1, 3, 100, 500])
def test_paging_gets_exactly_what_is_new(server: Server, ann: Person, limit: int) -> None:
    others = server.people(*"abcde")
    group = ann.group(*others)
    follower = ann.follow(limit=limit)
    follower.until_quiet()
    expected: dict[str, list[int]] = {}

    def write(turn: int) -> tuple[str, int]:
        other = others[turn % 5]
        answer = other.send(ann, f"{turn}") if turn % 2 else other.send_group(group, f"{turn}")
        message = answer.ok(201)
        return message["chat_id"], message["seq"]

    for chat, seq in at_once([partial(write, turn) for turn in range(60)], threads=6):
        expected.setdefault(chat, []).append(seq)
    before = follower.seqs(group["group_id"])
    follower.until_quiet()
    for chat, seqs in expected.items():
        known = before if chat == group["group_id"] else []
        assert follower.seqs(chat) == known + sorted(seqs)


def test_limit_counts_messages_of_the_whole_answer(server: Server, ann: Person) -> None:
    for other in server.people(*"abcdef"):
        for n in range(3):
            other.send(ann, f"{n}").ok(201)
    cursor = None
    sizes = []
    while True:
        body = ann.poll(ABSENT if cursor is None else cursor, 4).ok()
        cursor = body["cursor"]
        sizes.append(sum(len(chat["messages"]) for chat in body["chats"]))
        if not body["has_more"]:
            break
    assert sum(sizes) == 18
    assert all(size <= 4 for size in sizes)
    assert all(size > 0 for size in sizes)


def test_any_old_cursor_goes_on_from_where_it_was_given(
    ann: Person, ben: Person, redis_url: str
) -> None:
    follower = ben.follow()
    cursors = [follower.once()["cursor"]]
    sent = []
    for n in range(30):
        sent.append(ann.send(ben, f"{n}").ok(201))
        cursors.append(follower.once()["cursor"])
    for start in random.Random(7).sample(range(31), 10):
        late = ben.follow(limit=11)
        late.cursor = cursors[start]
        late.until_quiet()
        assert late.got.get(sent[0]["chat_id"], []) == sent[start:]
        flush(redis_url)


def test_followers_read_while_others_write(server: Server) -> None:
    people = server.people(*"abcdef")
    group = people[0].group(*people[1:])
    followers = [person.follow(limit=10) for person in people]
    for follower in followers:
        follower.until_quiet()
    start = len(people[0].history(group["group_id"]))

    def write(person: Person) -> None:
        for n in range(15):
            person.send_group(group, f"{n}").ok(201)

    def read(index: int) -> None:
        for _ in range(40):
            followers[index].once()

    at_once([partial(write, p) for p in people[:4]] + [partial(read, i) for i in range(6)])
    whole = people[0].history(group["group_id"])
    assert len(whole) == start + 60
    for follower, person in zip(followers, people, strict=True):
        follower.until_quiet()
        assert follower.got[group["group_id"]] == person.history(group["group_id"])
