"""What the hot paths may cost: statements and round trips, counted at the servers."""

from contextlib import contextmanager

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import tokens
from common.tests.servers import monitored_cache
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def counted():
    """Yield a function that says, after the block, (statements, round trips to the cache)."""
    result: list[int] = []
    with CaptureQueriesContext(connection) as queries, monitored_cache() as commands:
        yield lambda: tuple(result)
    result += [len(queries), len(commands)]


@pytest.fixture
def people(sweeper):
    ada, bob = Person("ada"), Person("bob")
    ada.poll()
    bob.poll()
    ada.say(bob, "the first opens the chat")
    bob.poll()
    bob.poll()
    ada.poll()
    return ada, bob


def test_an_idle_poll_asks_no_database_and_the_cache_once(people):
    _, bob = people
    with counted() as cost:
        assert bob.poll()["chats"] == []
    assert cost() == (0, 1)


def test_a_poll_whose_news_is_in_the_cache_asks_no_database_and_the_cache_once(people):
    ada, bob = people
    ada.say(bob, "news")
    with counted() as cost:
        answer = bob.poll()
    assert answer["served_from"] == "cache"
    assert [message["text"] for message in answer["chats"][0]["messages"]] == ["news"]
    assert cost() == (0, 1)


def test_a_private_send_is_one_statement_and_one_trip_beside_authentication(people):
    ada, bob = people
    with counted() as cost:
        assert ada.post("/send_message", recipient_id=bob.id, text="hi").status_code == 201
    assert cost() == (1, 2)


@pytest.mark.parametrize("size", [2, 30, 120])
def test_a_group_send_costs_the_same_whatever_the_size(sweeper, size):
    ada, *others = [Person() for _ in range(size)]
    group_id = ada.group(*others)
    ada.tell(group_id, "warm")
    ada.poll()
    with counted() as cost:
        response = ada.post("/send_message_to_group", group_id=group_id, text="hi")
    assert response.status_code == 201
    assert cost() == (1, 2)


def test_news_of_a_wide_group_asks_no_database(sweeper):
    ada, bob, *others = [Person() for _ in range(120)]
    group_id = ada.group(bob, *others)
    bob.poll()
    ada.tell(group_id, "warm")
    bob.poll()
    bob.poll()
    ada.tell(group_id, "news")
    with counted() as cost:
        answer = bob.poll()
    assert [message["text"] for message in answer["chats"][0]["messages"]] == ["news"]
    assert cost() == (0, 1)
    with counted() as cost:
        assert bob.poll()["chats"] == []
    assert cost() == (0, 1)


def test_a_page_from_the_cache_asks_no_database(people):
    _, bob = people
    chat_id = bob.received[0][0]
    bob.client.get(f"/chats/{chat_id}/messages/")  # the server knows the script by now
    with counted() as cost:
        response = bob.client.get(f"/chats/{chat_id}/messages/")
    assert response["X-Served-From"] == "cache"
    assert cost() == (0, 1)


def test_a_page_from_the_database_of_a_chat_in_the_index_is_one_statement(people):
    ada, bob = people
    for number in range(60):
        ada.say(bob, str(number))
    chat_id = bob.received[0][0]
    with counted() as cost:
        response = bob.client.get(f"/chats/{chat_id}/messages/?before=8&limit=5")
    assert response["X-Served-From"] == "database"
    assert [message["seq"] for message in response.json()["results"]] == [3, 4, 5, 6, 7]
    assert cost()[0] <= 2


def test_a_wide_group_among_thousands_of_chats_is_heard_of(sweeper, monkeypatch):
    monkeypatch.setattr("messaging.scripts.MOST_CHATS", 3)
    monkeypatch.setattr("django.conf.settings.FANOUT_MAX_MEMBERS", 2)
    ada, bob, eve = Person(), Person(), Person()
    group_id = ada.group(bob, eve)
    for _ in range(8):
        bob.group()
    bob.drain()
    ada.tell(group_id, "news")
    assert bob.drain() == ["news"]


@pytest.mark.parametrize("route", ["send", "poll", "page", "list"])
def test_a_bad_token_costs_one_statement_whatever_the_route(people, route):
    tokens.unknown.clear()
    ada, bob = people
    chat_id = bob.received[0][0]
    ask = {
        "send": lambda: bob.post("/send_message", recipient_id=ada.id, text="hi"),
        "poll": lambda: bob.post("/get_messages", cursor=bob.cursor),
        "page": lambda: bob.client.get(f"/chats/{chat_id}/messages/"),
        "list": lambda: bob.client.get("/chats/"),
    }[route]
    ask()
    good = bob.client._credentials["HTTP_AUTHORIZATION"]
    # What was sent before is remembered for a moment, and costs nothing.
    bob.client.credentials(HTTP_AUTHORIZATION=f"Bearer {'x' * 43}")
    with counted() as cost:
        answer = ask()
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["errors"][0]["code"] == "authentication_failed"
    assert cost()[0] == 1
    # White space before a token is none of it, either way.
    bob.client.credentials(HTTP_AUTHORIZATION=good.replace(" ", "   "))
    assert ask().status_code in {200, 201}
