"""The sweeper: what a sender did not tell the cache, it tells; what it can't vouch for is not believed."""

import threading
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.utils.timezone import now

from common.cache import cache
from common.tests.servers import admin_client, full_cache, paused_cache
from groups import services as groups
from messaging import index, scripts
from messaging.looks import Look, begin
from messaging.models import Chat, DatabaseMark
from messaging.sweeper import Sweeper
from messaging.sweeper_state import read_state
from messaging.wire import from_micros, to_micros
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


def insert_dated(chat_id: UUID, sender: Person, seq: int, age: str) -> None:
    """Write a message as a restore or an import does: a new id, and an old date."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO messaging_message (chat_id, seq, sender_id, kind, text, sent_at)"
            " VALUES (%s, %s, %s, 'text', 'from elsewhere', clock_timestamp() - %s::interval)",
            (chat_id, seq, sender.id, age),
        )


def test_a_message_with_a_new_id_and_an_old_date_hides_none_that_was_sent_before_it(
    people, sweeper
):
    ada, bob = people
    eve, moe = Person(), Person()
    eve.say(moe, "in another chat")
    untold(lambda: ada.say(bob, "news"))
    insert_dated(Chat.objects.latest("number").pk, eve, 7, "1 hour")
    assert sweeper.sweep().mended >= 1
    answer = bob.poll()
    assert answer["served_from"] == "cache"
    assert [m["text"] for m in answer["chats"][0]["messages"]] == ["news"]


def test_a_sweeper_that_comes_to_it_anew_looks_behind_such_a_message_too(people):
    ada, bob = people
    eve, moe = Person(), Person()
    eve.say(moe, "in another chat")
    untold(lambda: ada.say(bob, "news"))
    insert_dated(Chat.objects.latest("number").pk, eve, 7, "1 hour")
    cache.execute("DEL", "fresh")
    Sweeper().sweep()
    assert bob.drain() == ["news"]


def test_a_sender_that_commits_after_later_ids_were_seen_is_looked_for_until_it_ends(
    people, sweeper
):
    """The id is older than a look, the commit younger: by the id alone it would be passed over."""
    ada, bob = people
    state = read_state()
    holder = connection.copy("holder")
    holder.set_autocommit(False)
    kim, lee = Person(), Person()
    kim.say(lee, "opens")
    chat = Chat.objects.latest("number").pk
    try:
        holder.cursor().execute(
            "SELECT messaging_append(%s, %s, 'text', 'slow', NULL, NULL)", (chat, kim.id)
        )
        ada.say(bob, "this commits first")
        noted = read_state()
        look = Look(to_micros(noted.now), noted.newest, noted.next_transaction)
        later = noted.now + timedelta(seconds=30)
        assert not look.begins(later, read_state().oldest_transaction)
        holder.commit()
        assert look.begins(later, read_state().oldest_transaction)
        assert not look.begins(noted.now, read_state().oldest_transaction), "too young"
    finally:
        holder.close()
    assert state.newest < noted.newest


def test_looks_are_kept_from_the_one_to_begin_from_on():
    now = from_micros(1_000_000_000)
    looks = [
        Look(to_micros(now - timedelta(seconds=ago)), id_, 5)
        for id_, ago in ((10, 40), (20, 30), (30, 20), (40, 10), (50, 0))
    ]
    assert begin(looks, now, 5) == (30, looks[2:])
    assert begin(looks, now, 4) == (0, looks), "somebody of before them is still at work"
    assert begin(looks, now + timedelta(seconds=30), 4)[0] == 10, "but not for ever"
    assert begin([], now, 5) == (0, [])


def test_a_look_is_noted_each_ten_seconds_and_by_one_sweeper_alone(people, sweeper):
    number = DatabaseMark.objects.get().number
    Sweeper().sweep()
    assert DatabaseMark.objects.get().number == number
    DatabaseMark.objects.update(grown_at=now() - timedelta(seconds=11))
    sweeper.sweep()
    Sweeper().sweep()
    assert DatabaseMark.objects.get().number == number + 1


def test_where_too_much_would_have_to_be_gone_through_nothing_is_vouched_for_yet(
    people, monkeypatch
):
    cache.execute("DEL", "fresh")
    DatabaseMark.objects.all().delete()
    monkeypatch.setattr("messaging.sweeper.MOST_BEHIND", 0)
    assert Sweeper().sweep().waiting
    assert cache.execute("EXISTS", "fresh") == 0
    (look,) = DatabaseMark.objects.get().looks
    DatabaseMark.objects.update(looks=[[look[0] - 20_000_000, *look[1:]]])
    done = Sweeper().sweep()
    assert done.new_generation
    assert not done.waiting


def test_a_clock_that_was_set_back_hides_no_revoked_token(people, sweeper):
    """Its date is before all that was looked at; so nothing of before is believed any more."""
    ahead = to_micros(now() + timedelta(hours=1))
    cache.execute("HSET", "fresh", "since", ahead)
    assert sweeper.sweep().new_generation
