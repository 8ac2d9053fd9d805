"""What can be read again makes room, the coldest first, before limits, tokens and queue need it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from archive.tasks import tend_exports
from common.cache import cache, keep
from common.tests.servers import admin_client, full_cache
from messaging import eviction
from messaging.sweeper import Sweeper
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)

MEGABYTE = 1 << 20
NEEDED_BY_ALL = {"l:writes:somebody": 60, "t:0123": 60, "strata-queue:celery": None}


@contextmanager
def memory(megabytes: float) -> Iterator[None]:
    """Give the server so many megabytes beside what it uses now."""
    client = admin_client()
    before = int(client.config_get("maxmemory")["maxmemory"] or 0)
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory", int(used + megabytes * MEGABYTE))
    try:
        yield
    finally:
        client.config_set("maxmemory", before)
        cache.close()


def share() -> float:
    about = admin_client().info("memory")
    return float(about["used_memory"] / about["maxmemory"])


def fill(upto: float, size: int = 50_000) -> list[str]:
    """Put chats of nobody in, the coldest first, until so much of the server is used."""
    client = admin_client()
    chats: list[str] = []
    while share() < upto:
        chat = str(1_000_000 + len(chats))
        client.rpush(f"m:{chat}", b"x" * size)
        client.hset(f"c:{chat}", mapping={"at": 1})
        for kind in "mc":
            client.expire(f"{kind}:{chat}", 1000 + len(chats))
        chats.append(chat)
    return chats


@pytest.fixture
def people(sweeper):
    ada, bob = Person("ada"), Person("bob")
    ada.say(bob, "the first opens the chat")
    bob.poll()
    assert bob.poll()["served_from"] == "cache"
    return ada, bob


def test_the_coldest_chats_go_first_until_there_is_room(people, sweeper):
    ada, bob = people
    client = admin_client()
    for key, seconds in NEEDED_BY_ALL.items():
        client.set(key, "needed", ex=seconds)
    with memory(8):
        chats = fill(0.8)
        done = sweeper.sweep()
        assert done.evicted
        assert eviction.EVICT_DOWN_TO - 0.1 < share() < eviction.EVICT_DOWN_TO + 0.02
        left = [chat for chat in chats if client.exists(f"m:{chat}")]
        assert left == chats[-len(left) :], "what was used longest ago has gone"
        assert 0 < len(left) < len(chats)
        assert [chat for chat in chats if client.exists(f"c:{chat}")] == left
        assert all(client.exists(key) for key in NEEDED_BY_ALL)
        assert client.hget("fresh", "full") == b"0"
        assert sweeper.sweep().evicted == 0
        ada.say(bob, "news")
        answer = bob.poll()
    assert answer["served_from"] == "cache"
    assert bob.received[-1][2] == "news"


def test_what_is_not_full_loses_nothing(people, sweeper):
    with memory(8):
        chats = fill(0.7)
        assert sweeper.sweep().evicted == 0
        assert all(admin_client().exists(f"m:{chat}") for chat in chats)


def test_a_server_without_a_limit_of_its_memory_keeps_all(people, sweeper):
    client = admin_client()
    before = int(client.config_get("maxmemory")["maxmemory"] or 0)
    client.config_set("maxmemory", 0)
    try:
        assert sweeper.sweep().evicted == 0
    finally:
        client.config_set("maxmemory", before)
    assert people[1].poll()["served_from"] == "cache"


def test_users_and_objects_of_cold_storage_go_as_chats_do(people, sweeper):
    _, bob = people
    client = admin_client()
    for key in client.keys("[iv]:*"):
        client.expire(key, 1)
    keep("a:somebody:0123", b"x" * 1000, 300)
    with memory(6):
        fill(0.8)
        sweeper.sweep()
    assert not client.exists(f"i:{bob.id}", f"v:{bob.id}", "a:somebody:0123")
    assert bob.poll()["chats"] == []


def test_where_there_is_no_room_nothing_more_is_put_in_and_all_goes_on(people, sweeper):
    ada, bob = people
    client = admin_client()
    chat_id = bob.received[0][0]
    with full_cache():
        assert sweeper.sweep().evicted, "all that could be"
        assert client.hget("fresh", "full") == b"1"
        for number in range(3):
            ada.say(bob, f"full {number}")
            assert bob.drain() == [f"full {number}"]
        group = ada.group(bob)
        ada.tell(group, "to the group")
        assert bob.drain()[-1] == "to the group"
        assert len(bob.client.get(f"/chats/{chat_id}/messages/").json()["results"]) == 4
        keep("a:somebody:0123", b"x", 300)
        assert client.keys("[acimvw]:*") == []
    sweeper.sweep()
    ada.say(bob, "room again")
    assert bob.drain() == ["room again"]
    ada.say(bob, "and kept")
    assert bob.poll()["served_from"] == "cache"


def test_without_a_sweeper_to_say_so_a_full_server_takes_nothing_more_either(people):
    ada, bob = people
    client = admin_client()
    bob.drain()
    with full_cache():
        used = client.info("memory")["used_memory"]
        for number in range(200):
            ada.say(bob, f"{number}" * 1000)
        assert client.keys("m:*") == []
        assert client.info("memory")["used_memory"] < used + MEGABYTE
        assert len(bob.drain(100)) == 200


def test_a_new_chat_s_index_entry_is_not_added_where_there_is_no_room(people, sweeper):
    ada, bob = people
    eve = Person("eve")
    with full_cache():
        eve.say(bob, "who is this?")
        assert bob.drain() == ["who is this?"]
    ada.say(bob, "and now")
    assert bob.drain() == ["and now"]


def test_the_sweeper_vouches_for_a_full_cache(people):
    ada, bob = people
    client = admin_client()
    client.hset("fresh", "ms", 1)
    with full_cache():
        sweeper = Sweeper()
        sweeper.sweep()
        group = ada.group(bob)
        assert bob.drain()
        assert bob.received[-1][0] == str(group)
        sweeper.sweep()
        seconds, micros = client.time()
        said = int(client.hget("fresh", "ms") or 0)
    assert seconds * 1000 + micros // 1000 - said < 12_000


def test_members_who_were_added_unseen_are_forgotten_though_the_cache_is_full(people, sweeper):
    ada, bob = people
    group = ada.group()
    with full_cache():
        cache.breaker.open()
        from groups import services

        services.add_user_to_group(actor_id=ada.id, group_id=group, user_id=bob.id)
        cache.close()
        assert sweeper.sweep().forgotten == 1
        assert sweeper.sweep().forgotten == 0
        assert bob.drain() == ["ada added bob."]


def test_the_queue_takes_tasks_while_the_hot_tier_is_as_large_as_it_may_be(people, sweeper):

    client = admin_client()
    with memory(6):
        fill(0.97)
        sweeper.sweep()
        tend_exports.apply_async(retry=False)
        assert client.llen("strata-queue:celery") == 1


def test_a_sweep_ends_in_time_and_the_next_goes_on(people, sweeper, monkeypatch):
    monkeypatch.setattr(eviction, "SECONDS_A_SWEEP", -1.0)
    with memory(8):
        fill(0.8)
        for _ in range(3):
            assert sweeper.sweep().evicted == 0
        monkeypatch.setattr(eviction, "SECONDS_A_SWEEP", 60.0)
        assert sweeper.sweep().evicted
        assert share() < eviction.EVICT_DOWN_TO + 0.02


def test_where_nothing_can_be_given_up_it_is_not_looked_for_at_each_sweep(sweeper, monkeypatch):
    client = admin_client()
    client.set("somebody:else", b"x" * 8 * MEGABYTE)
    with full_cache():
        sweeper.sweep()
        sweeper.sweep()
        looked = client.info("commandstats")["cmdstat_scan"]["calls"]
        sweeper.sweep()
        assert client.info("commandstats")["cmdstat_scan"]["calls"] == looked
        monkeypatch.setattr(eviction, "FRUITLESS_SECONDS", 0.0)
        sweeper.eviction._again_at = 0.0
        sweeper.sweep()
        assert client.info("commandstats")["cmdstat_scan"]["calls"] > looked
