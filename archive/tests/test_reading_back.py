"""The third tier: scroll-back and cursors go through it without a seam, for those who may see."""

import time

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from archive import backup as backups
from archive import store
from archive.tests.world import (
    add,
    chat_of,
    cut_rows,
    date,
    every,
    moment,
    overwrite,
    read,
    remove,
    talk,
    told,
)
from common.cache import cache
from common.tests.servers import paused_cache
from messaging.models import Chat, Message
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people():
    return Person("ada"), Person("bob")


def reads_of(monkeypatch) -> list[str]:
    """Collect the keys that pages read from the bucket."""
    asked: list[str] = []
    get = store.brisk.get

    def noted(key: str) -> store.Found:
        asked.append(key)
        return get(key)

    monkeypatch.setattr(store.brisk, "get", noted)
    return asked


def test_one_scroll_back_through_all_tiers_shows_what_was_sent(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(9, 40))
    before = {person.id: told(person, chat_id) for person in people}
    backups.backup()
    cut_rows(chat_id, 31)
    for person in people:
        assert told(person, chat_id) == before[person.id]


def test_a_page_says_which_tier_it_had_to_ask(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(9, 20))
    backups.backup()
    cut_rows(chat_id, 11)
    url = f"/chats/{chat_id}/messages/"
    assert bob.client.get(f"{url}?before=11&limit=5")["X-Served-From"] == "archive"
    assert bob.client.get(f"{url}?before=14&limit=5")["X-Served-From"] == "archive"
    assert bob.client.get(f"{url}?before=16&limit=5")["X-Served-From"] == "database"
    assert [m["seq"] for m in bob.client.get(f"{url}?after=7&limit=6").json()["results"]] == [
        8, 9, 10, 11, 12, 13,
    ]  # fmt: skip


def test_an_object_is_read_once_and_then_kept_for_a_while(people, monkeypatch):
    ada, bob = people
    chat_id = talk(ada, bob, every(20, 12))
    backups.backup()
    cut_rows(chat_id, 12)
    asked = reads_of(monkeypatch)
    url = f"/chats/{chat_id}/messages/?before=7&limit=5"
    first = bob.client.get(url).json()
    assert asked == [f"{bob.id}/2026/007/{hour:02}/{chat_id}" for hour in (4, 3)]
    assert bob.client.get(url).json() == first
    assert len(asked) == 2, "from the cache the second time"


def test_hours_that_hold_nothing_are_never_asked_for(people, monkeypatch):
    ada, bob = people
    times = [moment("2025-11-01 00:00:00"), moment("2026-01-01 00:00:00")]
    chat_id = talk(ada, bob, [*times, moment("2026-02-01 00:00:00")])
    backups.backup()
    cut_rows(chat_id, 3)
    asked = reads_of(monkeypatch)
    assert len(told(bob, chat_id)) == 3
    assert len(asked) == 2


def test_who_came_back_sees_both_stretches_and_nothing_between(people):
    ada, bob = people
    group_id = ada.group(bob)
    ada.tell(group_id, "one")
    remove(ada, group_id, bob)
    ada.tell(group_id, "hidden")
    add(ada, group_id, bob)
    for number in range(5):
        ada.tell(group_id, f"again {number}")
    date(group_id, every(3, 10))
    before = told(bob, group_id)
    backups.backup()
    cut_rows(group_id, 9)
    assert told(bob, group_id) == before
    assert "hidden" not in [m["text"] for m in before]


def test_a_stranger_reads_nothing(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(9, 20))
    backups.backup()
    cut_rows(chat_id, 11)
    assert Person().client.get(f"/chats/{chat_id}/messages/?before=5").status_code == 404


@pytest.mark.parametrize("after", [3, 9, 10, 11, 25])
def test_a_stale_cursor_is_answered_from_cold_storage_each_message_once(people, after):
    ada, bob = people
    times = every(9, 30)
    for number in range(after):
        ada.say(bob, f"{number}")
    chat_id = chat_of(ada.say(bob, f"{after}"))
    date(chat_id, times[: after + 1])
    assert bob.drain() == [f"{number}" for number in range(after + 1)]
    for number in range(after + 1, 30):
        ada.say(bob, f"{number}")
    date(chat_id, times)
    # The poll before was answered with a T of then, which is long after these times.
    bob.cursor = _as_of(bob, times[after])
    backups.backup()
    cut_rows(chat_id, 11)
    assert bob.drain(limit=4) == [f"{number}" for number in range(after + 1, 30)]
    assert bob.drain() == []


def test_a_first_poll_that_was_cut_and_gone_on_with_much_later_shows_each_message_once(people):
    ada, bob = people
    times = every(1, 40)
    for number in range(20):
        ada.say(bob, f"{number}")
    chat_id = chat_of(ada.say(bob, "20"))
    other = Person()
    date(chat_of(other.say(bob, "other")), [moment("2026-01-07 02:59:00")])
    date(chat_id, times[:21])
    assert [m["text"] for chat in bob.poll(limit=5)["chats"] for m in chat["messages"]] == [
        "0", "1", "2", "3", "other",
    ]  # fmt: skip
    for number in range(21, 40):
        ada.say(bob, f"{number}")
    date(chat_id, times)
    bob.cursor = _as_of(bob, times[3], shown=times[20])
    backups.backup()
    cut_rows(chat_id, 36)
    texts = bob.drain(limit=9)
    assert texts == [f"{n}" for n in range(4, 40)]


def _as_of(person: Person, at, shown=None) -> str:
    """Return the person's cursor as it would be had they polled at that time."""
    from messaging import cursor as cursors
    from messaging.wire import to_micros

    old = cursors.decode_own(person.cursor or "", person.id)
    until = to_micros(shown) if shown else 0
    return cursors.encode(cursors.Cursor(person.id, old.epoch, to_micros(at), shown_until=until))


def test_an_ordinary_poll_costs_two_queries_though_a_chat_was_trimmed(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(9, 30))
    bob.drain()
    backups.backup()
    cut_rows(chat_id, 11)
    ada.say(bob, "news")
    with CaptureQueriesContext(connection) as queries:
        assert bob.poll()["served_from"] == "database"
    assert len([q for q in queries if "accounts_" not in q["sql"].split("WHERE")[0]]) <= 3


def test_a_client_id_stays_good_after_its_message_was_trimmed(people):
    ada, bob = people
    ada.say(bob, "kept", "the id")
    chat_id = chat_of(ada.say(bob, "last"))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO messaging_trimmedsend (chat_id, seq, sender_id, client_id, sent_at, digest)"
            " SELECT chat_id, seq, sender_id, client_id, sent_at, sha256(convert_to(text, 'UTF8'))"
            " FROM messaging_message WHERE client_id IS NOT NULL"
        )
    Message.objects.filter(seq=1).delete()
    again = ada.post("/send_message", recipient_id=str(bob.id), text="kept", client_id="the id")
    assert (again.status_code, again.json()["seq"]) == (200, 1)
    other = ada.post("/send_message", recipient_id=str(bob.id), text="new", client_id="the id")
    assert other.status_code == 409
    assert Message.objects.filter(chat=chat_id).count() == 1


def test_without_the_bucket_newer_pages_go_on_and_older_ones_are_a_503(people, servers):
    ada, bob = people
    chat_id = talk(ada, bob, every(9, 20))
    backups.backup()
    bob.drain()
    cut_rows(chat_id, 11)
    url = f"/chats/{chat_id}/messages/"
    servers.s3.pause()
    try:
        response = bob.client.get(f"{url}?before=14&limit=5")
        assert response.status_code == 503
        assert response.json()["errors"][0]["code"] == "archive_unavailable"
        assert int(response["Retry-After"]) > 0
        started = time.monotonic()
        assert bob.client.get(f"{url}?before=14&limit=5").status_code == 503
        assert time.monotonic() - started < 1, "nobody waits again for what has just failed"
        assert bob.client.get(f"{url}?before=20&limit=5").status_code == 200
        ada.say(bob, "sending goes on")
        assert "sending goes on" in bob.drain()
    finally:
        servers.s3.resume()
        store.brisk._left_alone_until = 0.0
    assert bob.client.get(f"{url}?before=14&limit=5").status_code == 200


def test_a_damaged_lost_or_swapped_object_is_a_503_never_a_shorter_history(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(1, 12))
    backups.backup()
    cut_rows(chat_id, 12)
    key, hers = (f"{person.id}/2026/007/03/{chat_id}" for person in (bob, ada))
    right, metadata = read(key)["raw"], read(key)["metadata"]
    url = f"/chats/{chat_id}/messages/?before=7&limit=5"
    for wrong in (right[:-9], b"", right[:40] + b"\x00" + right[41:], read(hers)["raw"]):
        overwrite(key, wrong)
        assert bob.client.get(url).status_code == 503
    store.patient.delete([key])
    assert bob.client.get(url).status_code == 503
    store.patient.put_plain(key, right, {})
    assert bob.client.get(url).status_code == 503, "nobody has signed it"
    store.patient.put_plain(key, right, metadata)
    assert bob.client.get(url).status_code == 200


def test_without_the_cache_cold_pages_are_slower_and_right(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(9, 20))
    before = told(bob, chat_id)
    backups.backup()
    cut_rows(chat_id, 15)
    with paused_cache():
        assert told(bob, chat_id) == before


def test_what_one_user_read_is_not_shown_to_another(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(1, 12))
    before = {person.id: told(person, chat_id) for person in people}
    backups.backup()
    cut_rows(chat_id, 12)
    for person in (*people, *people):
        assert told(person, chat_id) == before[person.id]
    cache.execute("FLUSHDB")


def test_a_first_poll_does_without_what_is_lost_and_pages_say_so(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(20, 12))
    backups.backup()
    cut_rows(chat_id, 8)
    cursor = bob.poll(limit=2)["cursor"]
    # Of the hours from 3 to 6 the second is lost: messages 4 to 6.
    store.patient.client.delete_object(
        Bucket=settings.S3_BUCKET, Key=f"{bob.id}/2026/007/04/{chat_id}"
    )
    cache.execute("FLUSHDB")
    device = Person.again(bob)
    (chat,) = device.poll()["chats"]
    assert (chat["start"], chat["end"]) == (1, 12)
    assert [message["seq"] for message in chat["messages"]] == [7, 8, 9, 10, 11, 12]
    response = bob.client.get(f"/chats/{chat_id}/messages/?before=7")
    assert response.status_code == 503
    (error,) = response.json()["errors"]
    assert error["code"] == "archive_unavailable"
    # It says what can't be had and where to go on.
    assert "Messages 4 to 6 of this chat" in error["detail"]
    assert "before=4 or after=6" in error["detail"]
    for asked, seqs in (("before=4", [1, 2, 3]), ("after=6&limit=2", [7, 8])):
        page = bob.client.get(f"/chats/{chat_id}/messages/?{asked}").json()
        assert [message["seq"] for message in page["results"]] == seqs
    ada.say(bob, "news")
    assert device.drain() == ["news"]
    # One that was cut goes on with what there is.
    assert bob.post("/get_messages", cursor=cursor).status_code == 200


def test_a_chat_of_which_all_is_lost_is_named_in_a_first_poll(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(1, 3))
    eve = Person("eve")
    eve.say(bob, "still there")
    backups.backup()
    cut_rows(chat_id, 4)
    store.patient.client.delete_object(
        Bucket=settings.S3_BUCKET, Key=f"{bob.id}/2026/007/03/{chat_id}"
    )
    Chat.objects.filter(pk=chat_id).update(last_at=now())
    answer = bob.post("/get_messages").json()
    shown = {chat["chat_id"]: len(chat["messages"]) for chat in answer["chats"]}
    assert shown.pop(str(chat_id)) == 0
    assert list(shown.values()) == [1]
