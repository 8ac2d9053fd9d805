"""The sweeper: what a sender did not tell the cache, it tells; what it can't vouch for is not believed."""

import threading

import pytest

from common.cache import cache
from common.tests.servers import admin_client, full_cache, paused_cache
from groups import services as groups
from messaging import index, scripts
from messaging.sweeper import Sweeper
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(sweeper):
    ada, bob = Person("ada"), Person("bob")
    ada.say(bob, "the first opens the chat")
    bob.poll()
    assert bob.poll()["served_from"] == "cache"
    return ada, bob


def untold(act) -> None:
    """Do something as a process that dies between its commit and its telling."""
    cache.breaker.open()
    act()
    cache.close()


def test_a_message_whose_sender_died_before_telling_is_told(people, sweeper):
    ada, bob = people
    untold(lambda: ada.say(bob, "news"))
    assert bob.poll()["chats"] == [], "the cache doesn't know yet"
    assert sweeper.sweep().mended == 1
    answer = bob.poll()
    assert answer["served_from"] == "cache"
    assert [m["text"] for m in answer["chats"][0]["messages"]] == ["news"]


def test_a_gap_that_later_messages_hid_is_closed(people, sweeper):
    ada, bob = people
    untold(lambda: ada.say(bob, "lost on the way"))
    ada.say(bob, "told")
    assert bob.drain() == ["lost on the way", "told"]
    sweeper.sweep()
    sweeper.sweep()
    for text in ("this fills the list again", "this one is told"):
        ada.say(bob, text)
        answer = bob.poll()
    assert answer["served_from"] == "cache"
    assert bob.received[-1][2] == "this one is told"


def test_a_list_filled_by_one_does_not_hide_what_others_were_not_told(people, sweeper):
    ada, bob = people
    eve = Person()
    group_id = ada.group(bob, eve)
    bob.drain()
    assert bob.poll()["served_from"] == "cache"
    for key in admin_client().keys("[cm]:*"):
        cache.execute("DEL", key)
    untold(lambda: ada.tell(group_id, "news"))
    # A reader fills the chat's list from the database, with the untold message in it.
    eve.client.get(f"/chats/{group_id}/messages/")
    assert eve.drain()[-1] == "news"
    sweeper.sweep()
    assert bob.drain() == ["news"]


def test_a_page_never_ends_before_a_message_that_was_told(people, sweeper):
    ada, bob = people
    untold(lambda: ada.say(bob, "lost on the way"))
    ada.say(bob, "told")
    page = bob.client.get(f"/chats/{bob.received[0][0]}/messages/").json()["results"]
    assert [message["text"] for message in page][1:] == ["lost on the way", "told"]


def test_what_was_told_is_not_told_again(people, sweeper):
    ada, bob = people
    ada.say(bob, "told")
    assert sweeper.sweep().mended == 0


def test_who_was_added_while_the_cache_was_away_hears_of_it(people, sweeper):
    ada, bob = people
    group_id = ada.group()
    untold(lambda: groups.add_user_to_group(actor_id=ada.id, group_id=group_id, user_id=bob.id))
    assert sweeper.sweep().forgotten == 1
    assert bob.drain() == ["ada added bob."]
    assert sweeper.sweep().forgotten == 0


def test_who_was_removed_while_the_cache_was_away_sees_nothing_after_it(people, sweeper):
    ada, bob = people
    group_id = ada.group(bob)
    bob.drain()
    untold(
        lambda: groups.remove_user_from_group(actor_id=ada.id, group_id=group_id, user_id=bob.id)
    )
    ada.tell(group_id, "secret")
    assert "secret" not in bob.drain()
    sweeper.sweep()
    assert "secret" not in bob.drain()
    assert bob.received[-1][2] == "ada removed bob."
    page = bob.client.get(f"/chats/{group_id}/messages/").json()
    assert page["results"][-1]["text"] == "ada removed bob."


def test_members_of_a_group_that_grew_wide_unseen_learn_to_ask(people, sweeper, settings):
    settings.FANOUT_MAX_MEMBERS = 2
    ada, bob = people
    eve = Person()
    group_id = ada.group(bob)
    bob.drain()
    bob.poll()
    untold(lambda: groups.add_user_to_group(actor_id=ada.id, group_id=group_id, user_id=eve.id))
    sweeper.sweep()
    ada.tell(group_id, "to all")
    assert "to all" in bob.drain()
    assert "to all" in eve.drain()


def test_without_a_sweeper_nothing_older_than_the_bound_is_believed(people, monkeypatch):
    ada, bob = people
    untold(lambda: ada.say(bob, "news"))
    assert bob.poll()["chats"] == []
    # As if the bound had passed: the index was filled and the sweeper was here longer ago.
    monkeypatch.setattr(scripts, "INDEX_BELIEF_MS", -1)
    assert bob.drain() == ["news"]


def test_a_cache_that_comes_back_with_old_contents_is_not_believed(people):
    ada, bob = people
    client = admin_client()
    old = {key: client.dump(key) for key in client.keys("*")}
    for number in range(3):
        ada.say(bob, f"{number}")
    client.flushdb()
    for key, contents in old.items():
        client.restore(key, 0, contents or b"")
    # The pause was too long to go through: a new generation begins.
    client.hset("fresh", mapping={"since": 1, "ms": 1})
    assert Sweeper().sweep().new_generation
    client.hset(f"v:{bob.id}", "#ms", 1)
    assert bob.drain() == ["0", "1", "2"]
    latest = bob.client.get(f"/chats/{bob.received[0][0]}/messages/").json()
    assert latest["results"][-1]["text"] == "2"


def test_a_flushed_cache_gets_a_new_generation(people, sweeper):
    ada, bob = people
    cache.execute("FLUSHDB")
    ada.say(bob, "after the flush")
    assert bob.drain() == ["after the flush"]
    assert sweeper.sweep().new_generation
    assert not sweeper.sweep().new_generation


def test_a_hanging_cache_costs_no_message(people, sweeper):
    ada, bob = people
    with paused_cache():
        ada.say(bob, "sent while it hung")
        assert bob.drain() == ["sent while it hung"]
    sweeper.sweep()
    ada.say(bob, "after")
    assert bob.drain() == ["after"]


def test_a_full_cache_costs_no_message(people):
    ada, bob = people
    with full_cache():
        for number in range(3):
            ada.say(bob, f"full {number}")
            assert bob.drain() == [f"full {number}"]
    ada.say(bob, "room again")
    assert bob.drain() == ["room again"]


def test_a_reader_that_was_overtaken_does_not_fill(people):
    ada, bob = people
    cache.execute("DEL", f"i:{bob.id}", f"v:{bob.id}")
    lease, moment = index.take_lease(bob.id) or (b"", 0)
    ada.say(bob, "between the miss and the fill")
    index.fill(bob.id, lease, moment, 1)
    assert not cache.execute("EXISTS", f"i:{bob.id}")
    assert bob.drain() == ["between the miss and the fill"]


def test_a_reader_that_was_overtaken_does_not_overwrite_an_index_either(people):
    ada, bob = people
    lease, moment = index.take_lease(bob.id) or (b"", 0)
    ada.say(bob, "between the read and the fill")
    told = cache.execute("DUMP", f"i:{bob.id}")
    assert cache.execute("GET", f"il:{bob.id}") is None, "the telling takes the lease away"
    index.fill(bob.id, lease, moment, 1)
    assert cache.execute("DUMP", f"i:{bob.id}") == told
    assert bob.drain() == ["between the read and the fill"]


def test_readers_that_fill_while_others_send_hide_nothing(people):
    ada, bob = people
    stop = threading.Event()
    failures: list[BaseException] = []

    def keep_emptying() -> None:
        client = admin_client()
        while not stop.wait(0.003):
            client.flushdb()

    emptying = threading.Thread(target=keep_emptying)
    emptying.start()
    try:
        for number in range(150):
            ada.say(bob, f"{number}")
            if bob.drain() != [f"{number}"]:
                failures.append(AssertionError(number))
    finally:
        stop.set()
        emptying.join()
    assert not failures
