"""An answer ends at 1 MiB of messages, and what did not fit comes next: once, and in order.

The sizes that matter are those of the JSON that goes out: a control character takes six bytes
there, one in the database, and next to nothing in the cache.
"""

from contextlib import contextmanager
from uuid import UUID

import orjson
import pytest
from django.conf import settings
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from archive import backup as backups
from archive.tests.world import chat_of, cut_rows, date, every
from common.cache import cache
from messaging.models import Chat
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)

MEBIBYTE = 1024 * 1024
LONGEST = "\x01" * 4096
MIXED = ("short", "x" * 3000, "ü" * 4096, "\U0001f40c" * 4096, LONGEST)


def size_of(messages) -> int:
    """Return how many bytes messages take in an answer."""
    return len(orjson.dumps(messages)) - 2


def check_poll(person: Person, answer) -> None:
    sizes = [size_of(chat["messages"]) for chat in answer["chats"]]
    count = sum(len(chat["messages"]) for chat in answer["chats"])
    assert sum(sizes) <= MEBIBYTE or count == 1


def polled(person: Person, limit: int | None = None) -> list[tuple[str, int, str]]:
    """Poll until nothing is left; return what came, after looking at the size of each answer."""
    before = len(person.received)
    while True:
        answer = person.poll(limit)
        check_poll(person, answer)
        if not answer["has_more"]:
            return person.received[before:]


def scrolled(person: Person, chat_id: UUID, limit: int, *, begin: str = "") -> list[int]:
    """Follow `next` from the latest page, or `previous` from a seq, to the end."""
    url: str | None = f"/chats/{chat_id}/messages/?limit={limit}{begin}"
    found: list[int] = []
    while url:
        response = person.client.get(url)
        assert response.status_code == 200, response.content
        page = response.json()
        messages = page["results"]
        assert size_of(messages) <= MEBIBYTE or len(messages) == 1
        seqs = [message["seq"] for message in messages]
        assert seqs == sorted(seqs)
        found = found + seqs if begin else seqs + found
        url = page["previous"] if begin else page["next"]
    return found


@contextmanager
def cache_away():
    cache.breaker.open()
    yield
    cache.close()


def fill(ada: Person, bob: Person, texts) -> UUID:
    for number, text in enumerate(texts):
        sent = ada.say(bob, text, f"id {number}" if number % 2 else None)
    return chat_of(sent)


@pytest.mark.parametrize("begin", ["", "&after=0"])
def test_a_page_of_long_texts_holds_what_is_nearest_and_leads_to_the_rest(sweeper, begin):
    ada, bob = Person(), Person()
    chat_id = fill(ada, bob, [LONGEST] * 100)
    response = bob.client.get(f"/chats/{chat_id}/messages/?limit=100{begin}")
    page = response.json()
    seqs = [message["seq"] for message in page["results"]]
    assert 40 <= len(seqs) < 43
    assert seqs[0 if begin else -1] == (1 if begin else 100)
    assert page["previous" if begin else "next"]
    assert scrolled(bob, chat_id, 100, begin=begin) == list(range(1, 101))


@pytest.mark.parametrize("begin", ["", "&after=0"])
@pytest.mark.parametrize("length", [1950, 2100, 4090])
def test_plain_texts_that_fill_a_page_of_the_database_leave_no_hole(sweeper, length, begin):
    ada, bob = Person(), Person()
    chat_id = fill(ada, bob, ["x" * length] * 560)
    with cache_away():
        for reader in (ada, bob):
            assert scrolled(reader, chat_id, 500, begin=begin) == list(range(1, 561))
        assert len(polled(bob, 500)) >= 50


def test_a_page_goes_through_all_three_tiers_in_parts(sweeper, monkeypatch):
    monkeypatch.setattr(settings, "HOT_MESSAGES_PER_CHAT", 10)
    ada, bob = Person(), Person()
    chat_id = fill(ada, bob, [LONGEST] * 120)
    date(chat_id, every(1, 120))
    backups.backup()
    cut_rows(chat_id, 61)
    bob.client.get(f"/chats/{chat_id}/messages/")
    for limit in (7, 50, 500):
        assert scrolled(bob, chat_id, limit) == list(range(1, 121))
        assert scrolled(bob, chat_id, limit, begin="&after=0") == list(range(1, 121))


def test_a_message_larger_than_an_answer_comes_alone(sweeper):
    ada, bob = Person(), Person()
    bob.poll()
    huge = "\x01" * 200_000
    chat_id = fill(ada, bob, [huge, "short", huge, huge])
    device = Person.again(bob)
    for person in (bob, device):
        assert [seq for _, seq, _ in polled(person)] == [1, 2, 3, 4]
    for begin, first in (("", 4), ("&after=0", 1)):
        page = bob.client.get(f"/chats/{chat_id}/messages/?limit=4{begin}").json()
        assert [message["seq"] for message in page["results"]] == [first]
        assert scrolled(bob, chat_id, 4, begin=begin) == [1, 2, 3, 4]


def test_a_first_poll_of_long_texts_goes_on_in_the_next_answer(sweeper):
    ada, *others = [Person() for _ in range(4)]
    for _ in range(30):
        for other in others:
            other.say(ada, LONGEST)
    assert ada.poll(limit=500)["has_more"]
    others[0].say(ada, "meanwhile")
    polled(ada, 500)
    assert len(ada.received) == len(set(ada.received)) == 91
    for chat_id in {chat_id for chat_id, _, _ in ada.received}:
        seqs = [seq for chat, seq, _ in ada.received if chat == chat_id]
        assert seqs == list(range(1, len(seqs) + 1))


def test_news_of_long_texts_in_the_cache_ask_no_database_for_the_first_answer(sweeper, monkeypatch):
    monkeypatch.setattr(settings, "HOT_BYTES_PER_CHAT", 10 * MEBIBYTE)
    ada, *others = [Person() for _ in range(4)]
    for other in others:
        other.say(ada, "before")
    ada.drain()
    ada.poll()
    for _ in range(20):
        for other in others:
            other.say(ada, LONGEST)
    answer = ada.poll(limit=500)
    assert answer["served_from"] == "cache"
    assert answer["has_more"]
    polled(ada, 500)
    assert len(ada.received) == len(set(ada.received)) == 63


def test_a_hundred_chats_with_long_texts_are_read_a_part_at_a_time(sweeper, monkeypatch):
    ada, *others = [Person() for _ in range(100)]
    for text in ("one", LONGEST, "three"):
        for other in others:
            other.say(ada, text)
    with cache_away():
        polled(ada, 500)
    assert len(ada.received) == len(set(ada.received)) == 99 * 3


@pytest.mark.parametrize("away", [False, True], ids=["with the cache", "without it"])
@hypothesis_settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    data=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(MIXED), st.integers(1, 40)),
        min_size=2,
        max_size=8,
    ),
    limit=st.sampled_from([1, 40, 100, 500]),
    before=st.integers(0, 4),
)
def test_whatever_the_sizes_everything_comes_once_and_in_order(away, data, limit, before):
    cache.close()
    cache.execute("FLUSHDB")
    ada, *others = [Person() for _ in range(5)]
    expected: dict[UUID, list[str]] = {}
    limit = limit if sum(count for _, _, count in data) < 100 else max(limit, 40)
    began: dict[UUID, int] = {}
    for place, (who, text, count) in enumerate(data):
        if place == before:
            polled(ada, limit)
            began = {chat_id: len(texts) for chat_id, texts in expected.items()}
        for _ in range(count):
            sent = others[who].say(ada, text)
        expected.setdefault(chat_of(sent), []).extend([text] * count)
    if away:
        cache.breaker.open()
    polled(ada, limit)
    cache.close()
    latest = Person.again(ada)
    polled(latest, limit)
    for chat_id, texts in expected.items():
        got = [(seq, text) for chat, seq, text in ada.received if chat == str(chat_id)]
        shown = [(seq, text) for chat, seq, text in latest.received if chat == str(chat_id)]
        wanted = list(enumerate(texts, 1))
        assert shown == wanted[-len(shown) :]
        assert len(shown) >= min(len(wanted), settings.HOT_MESSAGES_PER_CHAT)
        assert got == wanted[-len(got) :]
        assert before >= len(data) or len(got) >= len(wanted) - began.get(chat_id, 0)
        assert scrolled(ada, chat_id, limit) == [seq for seq, _ in wanted]
    assert Chat.objects.count() >= len(expected)
