"""`GET /chats/{id}/messages/`: pages from the newest to the oldest, without a seam."""

import pytest

from tests.contract.cache import flush
from tests.http import JSON, LIST_KEYS, Person, Server, at_once, check_message

TIERS = {"cache", "database", "archive"}


@pytest.fixture(scope="module")
def pair(server: Server) -> tuple[Person, Person]:
    ann, ben = server.people("ann", "ben")
    return ann, ben


@pytest.fixture(scope="module")
def sent(pair: tuple[Person, Person]) -> list[JSON]:
    """120 messages of one chat."""
    return [pair[0].send(pair[1], f"{n}").ok(201) for n in range(1, 121)]


def test_a_page_is_the_newest_oldest_first(pair: tuple[Person, Person], sent: list[JSON]) -> None:
    answer = pair[1].messages(sent[0]["chat_id"])
    page = answer.ok()
    assert set(page) == LIST_KEYS
    assert page["results"] == sent[-len(page["results"]) :]
    assert page["results"]
    for message in page["results"]:
        check_message(message, sent[0]["chat_id"])
    assert answer.headers["x-served-from"] in TIERS


@pytest.mark.parametrize("limit", [1, 7, 50, 51, 100, 120, 121])
@pytest.mark.parametrize("emptied", [False, True])
def test_pages_lead_to_the_oldest_without_a_seam(
    pair: tuple[Person, Person], sent: list[JSON], limit: int, emptied: bool, redis_url: str
) -> None:
    if emptied:
        flush(redis_url)
    assert pair[1].history(sent[0]["chat_id"], limit) == sent


@pytest.mark.parametrize("emptied", [False, True])
def test_before_and_after(
    pair: tuple[Person, Person], sent: list[JSON], emptied: bool, redis_url: str
) -> None:
    ann, chat = pair[0], sent[0]["chat_id"]
    for seq in (1, 2, 50, 69, 70, 71, 72, 119, 120, 121, 1000):
        for limit in (1, 10, 50, 60):
            if emptied:
                flush(redis_url)
            page = pair[1].messages(chat, before=seq, limit=limit).ok()
            assert page["results"] == [m for m in sent if m["seq"] < seq][-limit:], (seq, limit)
            page = pair[1].messages(chat, after=seq, limit=limit).ok()
            assert page["results"] == [m for m in sent if m["seq"] > seq][:limit], (seq, limit)
    assert (
        ann.messages(chat, after=0, limit=500).ok()["results"]
        == [{**m} for m in sent][: len(ann.messages(chat, after=0, limit=500).ok()["results"])]
    )


def test_previous_leads_back(pair: tuple[Person, Person], sent: list[JSON]) -> None:
    chat = sent[0]["chat_id"]
    newest = pair[1].messages(chat, limit=30).ok()
    older = pair[1].get(newest["next"]).ok()
    assert older["results"] == sent[60:90]
    back = pair[1].get(older["previous"]).ok()
    assert back["results"] == newest["results"]
    assert pair[1].messages(chat, after=0, limit=1).ok()["results"] == sent[:1]


def test_the_last_page_has_no_next(pair: tuple[Person, Person], sent: list[JSON]) -> None:
    chat = sent[0]["chat_id"]
    assert pair[1].messages(chat, before=11, limit=10).ok()["next"] is None
    assert pair[1].messages(chat, before=12, limit=10).ok()["next"] is not None
    assert pair[1].messages(chat, before=1).ok() == {
        "next": None,
        "previous": pair[1].messages(chat, before=1).ok()["previous"],
        "results": [],
    }


def test_links_are_whole_and_lead_here(pair: tuple[Person, Person], sent: list[JSON]) -> None:
    link = pair[1].messages(sent[0]["chat_id"], limit=5).ok()["next"]
    assert link.startswith(pair[1].server.base_url + f"/chats/{sent[0]['chat_id']}/messages/?")


def test_links_are_only_for_those_in_the_chat(
    pair: tuple[Person, Person], sent: list[JSON], eve: Person
) -> None:
    link = pair[1].messages(sent[0]["chat_id"], limit=5).ok()["next"]
    eve.get(link).refused(404)
    eve.server.get(link).refused(401)


@pytest.mark.parametrize("name", ["before", "after", "limit"])
@pytest.mark.parametrize(
    "wrong", ["x", "-1", "1.5", "", "%00", "1e3", "9" * 30, "٣", "0x10", " 1", "null", "1,2"]
)
def test_odd_numbers_never_break_the_server(
    pair: tuple[Person, Person], sent: list[JSON], name: str, wrong: str
) -> None:
    answer = pair[1].get(f"/chats/{sent[0]['chat_id']}/messages/?{name}={wrong}")
    if answer.status != 200:
        answer.refused(400)


@pytest.mark.parametrize("name", ["before", "after"])
def test_a_word_for_a_seq_is_a_400(
    pair: tuple[Person, Person], sent: list[JSON], name: str
) -> None:
    pair[1].messages(sent[0]["chat_id"], **{name: "x"}).refused(400)


def test_a_page_has_at_most_some_hundred(pair: tuple[Person, Person], sent: list[JSON]) -> None:
    answer = pair[1].messages(sent[0]["chat_id"], limit=1_000_000)
    if answer.status == 200:
        assert len(answer.body["results"]) <= 1000
    else:
        answer.refused(400)


def test_both_bounds_at_once_are_a_range_or_refused(
    pair: tuple[Person, Person], sent: list[JSON]
) -> None:
    answer = pair[1].messages(sent[0]["chat_id"], after=10, before=20)
    if answer.status == 200:
        assert [m["seq"] for m in answer.body["results"]] == list(range(11, 20))
    else:
        answer.refused(400)


def test_it_says_which_tier_it_asked(server: Server, redis_url: str) -> None:
    ann, ben = server.people("ann", "ben")
    sent = [ann.send(ben, f"{n}").ok(201) for n in range(1, 71)]
    chat = sent[0]["chat_id"]
    ben.poll().ok()
    warm = ben.messages(chat, limit=20)
    warm = ben.messages(chat, limit=20)
    assert warm.headers["x-served-from"] == "cache"
    assert ben.messages(chat, before=10, limit=5).headers["x-served-from"] == "database"
    flush(redis_url)
    cold = ben.messages(chat, limit=20)
    assert cold.headers["x-served-from"] == "database"
    assert cold.body["results"] == warm.body["results"] == sent[-20:]


def test_the_database_fills_the_cache_on_the_way_back(server: Server, redis_url: str) -> None:
    ann, ben = server.people("ann", "ben")
    chat = next(ann.send(ben, f"{n}").ok(201) for n in range(1, 71))["chat_id"]
    flush(redis_url)
    tiers = [ben.messages(chat, limit=50).headers["x-served-from"] for _ in range(3)]
    assert tiers[0] == "database"
    assert tiers[-1] == "cache"


def test_a_new_message_is_on_the_next_page_at_once(
    pair: tuple[Person, Person], redis_url: str
) -> None:
    ann, ben = pair
    for turn in range(10):
        message = ann.send(ben, f"again {turn}").ok(201)
        if turn == 5:
            flush(redis_url)
        assert ben.messages(message["chat_id"], limit=1).ok()["results"] == [message]


def test_pages_hold_still_while_others_write(server: Server) -> None:
    ann, ben = server.people("ann", "ben")
    group = ann.group(ben)
    for n in range(100):
        ann.send_group(group, f"{n}").ok(201)
    end = ann.history(group["group_id"])[-1]["seq"]

    def write() -> list[JSON]:
        for n in range(60):
            ann.send_group(group, f"later {n}").ok(201)
        return []

    _, seen, again = at_once(
        [
            write,
            lambda: ben.history(group["group_id"], 7),
            lambda: ben.history(group["group_id"], 50),
        ]
    )
    for messages in (seen, again):
        seqs = [m["seq"] for m in messages]
        assert seqs == list(range(1, seqs[-1] + 1))
        assert seqs[-1] >= end
