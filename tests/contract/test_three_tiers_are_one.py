"""One chat through cache, database and cold storage: no seam, no double, and what happens without S3."""

import time
from functools import partial

import pytest

from tests.contract.cache import flush
from tests.contract.conftest import IN_CACHE, IN_DATABASE
from tests.http import JSON, Answer, Follower, Person, at_once
from tests.past.stack import PastStack

HOURS, EACH = 5, 12
LENGTH = HOURS * EACH + 3


@pytest.fixture(scope="module")
def pair(past: PastStack) -> tuple[Person, Person]:
    ann, ben = past.server.people("ann", "ben")
    return ann, ben


@pytest.fixture(scope="module")
def stale(pair: tuple[Person, Person], sent: list[JSON]) -> dict[int, str]:
    """Ben's cursors: how many messages he had when he got each."""
    found: dict[int, str] = sent[0]["cursors"]
    return found


@pytest.fixture(scope="module")
def sent(past: PastStack, pair: tuple[Person, Person]) -> list[JSON]:
    """63 messages of six hours, all but the last ten trimmed; on the first hang Ben's cursors."""
    ann, ben = pair
    cursors = {0: ben.poll().ok()["cursor"]}
    found: list[JSON] = []
    for n in range(LENGTH):
        found.append(ann.send(ben, f"text {n + 1}").ok(201))
        if n % EACH == EACH - 1:
            if n % (2 * EACH) == EACH - 1:
                cursors[n + 1] = ben.poll(cursors[max(cursors)]).ok()["cursor"]
            past.clock.next_hour()
        elif n % EACH == 5:
            cursors[n + 1] = ben.poll(cursors[max(cursors)]).ok()["cursor"]
    past.clock.next_hour()
    past.do("backup")
    past.do("trim")
    found[0]["cursors"] = cursors
    return found


@pytest.fixture
def plain(sent: list[JSON]) -> list[JSON]:
    return [{name: each[name] for name in each if name != "cursors"} for each in sent]


@pytest.fixture
def chat(sent: list[JSON]) -> str:
    chat: str = sent[0]["chat_id"]
    return chat


@pytest.fixture
def cache(past: PastStack) -> str:
    return past.live.environment()["REDIS_URL"]


def test_the_database_holds_the_last_y_alone(past: PastStack, chat: str) -> None:
    held = past.sql(
        "SELECT min(seq), max(seq), count(*) FROM messaging_message WHERE chat_id = %s", chat
    )
    assert held == [(LENGTH - IN_DATABASE + 1, LENGTH, IN_DATABASE)]


@pytest.mark.parametrize("limit", [1, 3, 5, 7, 10, 12, 50, 62, 63, 64, 500])
@pytest.mark.parametrize("emptied", [False, True])
def test_it_scrolls_to_the_oldest_without_a_seam(
    *,
    pair: tuple[Person, Person],
    plain: list[JSON],
    chat: str,
    cache: str,
    limit: int,
    emptied: bool,
) -> None:
    if emptied:
        flush(cache)
    for person in pair:
        assert person.history(chat, limit) == plain


def test_each_page_says_the_slowest_tier_it_asked(
    pair: tuple[Person, Person], plain: list[JSON], chat: str
) -> None:
    ben = pair[1]
    ben.poll().ok()
    ben.messages(chat, limit=IN_CACHE)
    for before in range(1, LENGTH + 2):
        for limit in (1, 4):
            page = ben.messages(chat, before=before, limit=limit)
            seqs = [message["seq"] for message in page.ok()["results"]]
            assert seqs == list(range(max(1, before - limit), before)), (before, limit)
            if not seqs:
                continue
            if seqs[0] <= LENGTH - IN_DATABASE:
                tiers = {"archive"}
            elif seqs[0] <= LENGTH - IN_CACHE:
                tiers = {"database"}
            else:
                # Filled on the way back, or not yet.
                tiers = {"cache", "database"}
            # What was scrolled to may have been kept in a faster tier.
            order = ["cache", "database", "archive"]
            said = page.headers["x-served-from"]
            assert order.index(said) <= max(map(order.index, tiers)), (before, limit, said)


def test_a_cold_page_says_archive(pair: tuple[Person, Person], chat: str, cache: str) -> None:
    flush(cache)
    assert pair[1].messages(chat, before=20, limit=5).headers["x-served-from"] == "archive"
    assert pair[1].messages(chat, limit=LENGTH).headers["x-served-from"] == "archive"
    assert pair[1].messages(chat, limit=IN_DATABASE).headers["x-served-from"] == "database"


@pytest.mark.parametrize("emptied", [False, True])
def test_before_and_after_at_every_border(
    pair: tuple[Person, Person], plain: list[JSON], chat: str, cache: str, emptied: bool
) -> None:
    ben = pair[1]
    cold = LENGTH - IN_DATABASE
    hot = LENGTH - IN_CACHE
    hours = [EACH * n for n in range(HOURS + 1)]
    for border in sorted({1, cold, hot, LENGTH, *hours}):
        for seq in range(border - 1, border + 3):
            if seq < 0:
                continue
            for limit in (1, 2, EACH, IN_DATABASE + 1, LENGTH):
                if emptied and limit == EACH:
                    flush(cache)
                page = ben.messages(chat, before=seq, limit=limit).ok()
                assert page["results"] == [m for m in plain if m["seq"] < seq][-limit:]
                last = not page["results"] or page["results"][0]["seq"] == 1
                assert (page["next"] is None) == last, (seq, limit)
                page = ben.messages(chat, after=seq, limit=limit).ok()
                assert page["results"] == [m for m in plain if m["seq"] > seq][:limit]


def test_previous_leads_back_from_the_oldest(
    pair: tuple[Person, Person], plain: list[JSON], chat: str
) -> None:
    found: list[JSON] = []
    page = pair[1].messages(chat, before=4, limit=3).ok()
    found += page["results"]
    while page["results"] and page["previous"] and len(found) < LENGTH + 10:
        page = pair[1].get(page["previous"]).ok()
        found += page["results"]
    assert found == plain


def test_start_is_the_oldest_over_all_tiers(pair: tuple[Person, Person], chat: str) -> None:
    for body in (pair[1].poll().ok(),):
        entry = next(each for each in body["chats"] if each["chat_id"] == chat)
        assert (entry["start"], entry["end"]) == (1, LENGTH)


@pytest.mark.parametrize("limit", [1, 7, 500])
@pytest.mark.parametrize("emptied", [False, True])
def test_a_cursor_older_than_the_database_catches_up_exactly_once(
    *,
    pair: tuple[Person, Person],
    plain: list[JSON],
    chat: str,
    cache: str,
    stale: dict[int, str],
    limit: int,
    emptied: bool,
) -> None:
    for had, cursor in stale.items():
        if emptied:
            flush(cache)
        late = Follower(pair[1], limit, cursor)
        got = late.until_quiet()
        assert got.get(chat, []) == plain[had:], had


def test_a_stranger_sees_nothing_of_it(past: PastStack, chat: str) -> None:
    past.server.person("eve").messages(chat, before=10).refused(404)


def test_sending_goes_on_where_it_was(
    past: PastStack, pair: tuple[Person, Person], chat: str
) -> None:
    ann, ben = past.server.people("ann", "ben")
    for n in range(30):
        first = ann.send(ben, f"{n}", f"id-{n}").ok(201)
        if n == 3:
            kept = first
    past.clock.next_hour()
    past.do("backup")
    past.do("trim")
    # Trimmed, and still the first one: a client_id counts for as long as the message is kept.
    assert ann.send(ben, "3", "id-3").ok(200) == kept
    ann.send(ben, "another", "id-3").refused(409)
    assert ann.send(ben, "more").ok(201)["seq"] == 31
    assert [m["seq"] for m in ben.history(kept["chat_id"], 8)] == list(range(1, 32))


def test_who_was_there_for_a_stretch_sees_that_one_in_cold_storage(past: PastStack) -> None:
    ann, ben, cid = past.server.people("ann", "ben", "cid")
    group = ann.group(ben)
    chat = group["group_id"]

    def talk(count: int) -> None:
        for n in range(count):
            ann.send_group(chat, f"{n}", f"{past.clock.now()}").ok(201)

    talk(4)
    ann.add(chat, cid).ok(201)
    talk(4)
    past.clock.next_hour()
    talk(4)
    ann.remove(chat, cid).ok(200)
    talk(4)
    past.clock.next_hour()
    ann.add(chat, cid).ok(201)
    talk(4)
    before = {person.user_id: person.history(chat, 7) for person in (ann, ben, cid)}
    talk(IN_DATABASE + 1)
    tail = ann.history(chat)[-IN_DATABASE - 1 :]
    past.clock.next_hour()
    past.do("backup")
    past.do("trim")
    for person in (ann, ben, cid):
        hidden = [m if m["sender_id"] == person.user_id else {**m, "client_id": None} for m in tail]
        for limit in (1, 3, 100):
            assert person.history(chat, limit) == before[person.user_id] + hidden
    gap = set(range(1, tail[-1]["seq"] + 1)) - {m["seq"] for m in cid.history(chat)}
    for seq in gap:
        for query in ({"before": seq + 1, "limit": 1}, {"after": seq - 1, "limit": 1}):
            page = cid.messages(chat, **query).ok()["results"]
            assert seq not in {message["seq"] for message in page}


def test_without_s3_cold_pages_are_refused_and_all_else_goes_on(
    *,
    past: PastStack,
    pair: tuple[Person, Person],
    plain: list[JSON],
    chat: str,
    cache: str,
    stale: dict[int, str],
) -> None:
    ann, ben = pair
    flush(cache)
    past.gateway.stop()
    try:
        for answer in (
            ben.messages(chat, before=20, limit=5),
            ben.messages(chat, after=3, limit=5),
            # Half of it is at hand: half a page would look like the whole.
            ben.messages(chat, limit=LENGTH),
            ben.messages(chat, before=LENGTH - IN_DATABASE + 4, limit=10),
            ben.poll(stale[6]),
            ben.get(f"/archive/{ben.get('/archive/').ok()['results'][0]['path']}"),
        ):
            answer.refused(503, "archive_unavailable")
            assert int(answer.headers["retry-after"]) >= 1
        assert ben.messages(chat, limit=5).ok()["results"] == plain[-5:]
        assert ben.messages(chat, limit=IN_DATABASE).ok()["results"] == plain[-IN_DATABASE:]
        other = past.server.person("other")
        cursor = other.poll().ok()["cursor"]
        message = ann.send(other, "still here").ok(201)
        assert other.poll(cursor).ok()["chats"][0]["messages"] == [message]
        ended = past.manage("backup", "--json")
        assert ended.status in {0, 1}, ended
        past.server.get("/healthz").ok()
    finally:
        past.gateway.start()
    deadline = time.monotonic() + 20
    while ben.messages(chat, before=20, limit=5).status == 503 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ben.history(chat, 7) == plain


def test_many_read_the_same_cold_page_at_once(
    past: PastStack, pair: tuple[Person, Person], plain: list[JSON], chat: str, cache: str
) -> None:
    def page(reader: Person) -> Answer:
        """Read it as a client does that is told to come back: cold pages have a room of their own."""
        while (answer := reader.messages(chat, before=30, limit=20)).status == 503:
            answer.refused(503, "busy")
            time.sleep(int(answer.headers["retry-after"]))
        return answer

    flush(cache)
    pages = at_once([partial(page, pair[n % 2]) for n in range(16)], threads=8)
    for answer in pages:
        assert answer.ok()["results"] == plain[9:29]


def test_the_second_reading_asks_cold_storage_for_nothing(
    past: PastStack, pair: tuple[Person, Person], plain: list[JSON], chat: str, cache: str
) -> None:
    flush(cache)
    pair[1].messages(chat, before=30, limit=20).ok()
    asked = len(past.gateway.asked)
    assert pair[1].messages(chat, before=30, limit=20).ok()["results"] == plain[9:29]
    assert past.gateway.asked[asked:] == []


def test_each_object_is_read_once_for_a_page_and_empty_hours_never(
    past: PastStack, pair: tuple[Person, Person], plain: list[JSON], chat: str, cache: str
) -> None:
    for _ in range(3):
        past.clock.next_hour()
    flush(cache)
    asked = len(past.gateway.asked)
    pair[1].messages(chat, before=LENGTH - IN_DATABASE, limit=500).ok()
    gets = past.gateway.asked[asked:]
    assert len(gets) == len(set(gets)) <= HOURS, gets
