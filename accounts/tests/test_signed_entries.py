"""Who can write to the cache logs in as nobody: what it says of a token is signed."""

import pytest

from accounts import tokens
from common.cache import cache
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people():
    cache.execute("FLUSHDB")
    ada, bob = Person("ada"), Person("bob")
    for person in (ada, bob):
        assert person.client.get("/me/").status_code in (200, 404)
        person.client.get("/chats/")
    return ada, bob


def entry(person):
    token = person.client._credentials["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    return tokens.digest(token)


def change(person, **fields):
    flat = [part for pair in fields.items() for part in pair]
    cache.execute("HSET", tokens.entry_key(entry(person)), *flat)


def test_another_user_in_ones_entry_is_not_believed(people):
    ada, bob = people
    ada.say(bob, "for Bob")
    change(ada, u=str(bob.id))
    assert tokens.authenticate(ada.client._credentials["HTTP_AUTHORIZATION"][7:]) == ada.id
    assert cache.execute("HGET", tokens.entry_key(entry(ada)), "u") in (None, str(ada.id).encode())


def test_anothers_whole_entry_is_not_believed(people):
    ada, bob = people
    flat = cache.execute("HGETALL", tokens.entry_key(entry(bob)))
    cache.execute("HSET", tokens.entry_key(entry(ada)), *flat)
    assert tokens.authenticate(ada.client._credentials["HTTP_AUTHORIZATION"][7:]) == ada.id


@pytest.mark.parametrize("signature", ["", "0" * 32, "x", "é" * 32])
def test_a_token_that_was_never_given_opens_nothing(people, signature):
    _, bob = people
    token = "made-by-who-can-write-to-the-cache"
    like = cache.execute("HGETALL", tokens.entry_key(entry(bob)))
    cache.execute("HSET", tokens.entry_key(tokens.digest(token)), *like)
    cache.execute("HSET", tokens.entry_key(tokens.digest(token)), "s", signature)
    assert tokens.authenticate(token) is None
    bob.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert bob.client.get("/chats/").status_code == 401
    assert bob.client.post("/get_messages", {}, format="json").status_code == 401


def test_pages_and_polls_do_not_believe_it_either(people):
    ada, bob = people
    eve = Person("eve")
    sent = ada.say(bob, "between us")
    import json

    chat_id = json.loads(sent.line.body)["chat_id"]
    assert bob.client.get(f"/chats/{chat_id}/messages/").status_code == 200
    first = bob.client.post("/get_messages", {}, format="json").json()
    eve.client.get("/chats/")
    change(eve, u=str(bob.id))
    assert eve.client.get(f"/chats/{chat_id}/messages/").status_code == 404
    eve.client.get("/chats/")
    change(eve, u=str(bob.id))
    answer = eve.client.post("/get_messages", {"cursor": first["cursor"]}, format="json")
    assert answer.status_code == 400


def test_one_that_is_signed_is_answered_without_a_query(people, django_assert_num_queries):
    ada, _ = people
    token = ada.client._credentials["HTTP_AUTHORIZATION"][7:]
    tokens.authenticate(token)
    with django_assert_num_queries(0):
        assert tokens.authenticate(token) == ada.id
