"""A web process whose connection leads to another database believes nothing old of the cache."""

import pytest
from django.db import connection

from common import database_identity
from common.cache import cache
from common.database_identity import DOUBT_SECONDS, believed_ms
from messaging import scripts
from messaging.sweeper_state import read_state
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def met(monkeypatch):
    """This process as one that serves: it asks each connection that it opens."""
    met = database_identity._Met()
    monkeypatch.setattr(database_identity, "met", met)
    monkeypatch.setattr("common.postgresql.base.opened", [met.note])
    return met


@pytest.fixture
def people(sweeper):
    ada, bob = Person("ada"), Person("bob")
    ada.say(bob, "hello")
    for _ in range(2):
        bob.drain()
    assert bob.poll()["served_from"] == "cache"
    return ada, bob


def vouch_for(identity: str) -> None:
    """Have the cache be of that database, by the last word of a sweeper."""
    cache.execute("HSET", "fresh", "db", identity)


ANOTHER = "1.00000001.2.3.4"


def test_the_database_that_the_cache_was_vouched_for_is_believed(people, met):
    connection.close()
    _, bob = people
    assert bob.poll()["served_from"] == "cache"
    read_state()
    assert read_state().identity.startswith(met.identity)
    assert believed_ms(5) == 5


def test_a_new_process_does_not_believe_what_was_said_of_another_database(people, met):
    _, bob = people
    vouch_for(ANOTHER)
    connection.close()
    read_state()
    assert believed_ms(5) == -1
    answer = bob.poll()
    assert (answer["served_from"], answer["reset"]) == ("database", False)
    met.doubts_until = 1.0
    assert bob.poll()["served_from"] == "cache"


def test_a_process_that_met_another_before_does_not_either(people, met):
    _, bob = people
    met.identity = "1.00000001.2."
    cache.execute("HDEL", "fresh", "db")
    connection.close()
    read_state()
    assert bob.poll()["served_from"] == "database"


def test_a_page_is_not_taken_from_the_cache_either(people, met):
    _, bob = people
    page = f"/chats/{bob.received[0][0]}/messages/"
    assert bob.client.get(page)["X-Served-From"] == "cache"
    vouch_for(ANOTHER)
    connection.close()
    read_state()
    assert [m["text"] for m in bob.client.get(page).json()["results"]] == ["hello"]


def test_one_that_the_sweeper_has_compared_already_is_believed(people, met):
    _, bob = people
    met.identity = "1.00000001.2."
    connection.close()
    assert bob.poll()["served_from"] == "cache"
    read_state()
    assert believed_ms(5) == 5


def test_a_connection_that_is_opened_again_asks_nothing_more_than_who_is_there(people, met):
    connection.close()
    read_state()
    known = met.identity
    connection.close()
    read_state()
    assert met.identity == known
    assert met.doubts_until == 0


def test_doubt_lasts_longer_than_anything_is_believed():
    assert DOUBT_SECONDS * 1000 > scripts.INDEX_BELIEF_MS
