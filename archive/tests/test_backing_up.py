"""Backup: the exact keys, bytes and metadata, for exactly those who could see a message."""

import hashlib
import json
import re
import threading

import orjson
import pytest
from django.db import connection

from archive import backup as backups
from archive import hours, parts, store
from archive.hours import hour_from
from archive.locks import chat_lock
from archive.models import HourObject, Segment, Watermark
from archive.tests.conftest import keys
from archive.tests.world import (
    add,
    bucket,
    chat_of,
    date,
    every,
    in_bucket,
    moment,
    overwrite,
    read,
    remove,
    talk,
    told,
)
from common import archive_key
from common.tests.servers import at_once
from messaging.models import Chat
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people():
    return Person("ada"), Person("bob")


def test_each_user_gets_an_object_per_hour_in_the_apis_own_form(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(20, 7))
    before = {person.id: told(person, chat_id) for person in people}
    report = backups.backup()
    assert report["ok"]
    assert (report["messages"], report["hours"], report["objects"]) == (7, 3, 6)
    for person in people:
        hours = [f"{person.id}/2026/007/{hour:02}/{chat_id}" for hour in (3, 4, 5)]
        assert keys(f"{person.id}/") == hours
        assert in_bucket(person, chat_id) == before[person.id]
    found = read(f"{ada.id}/2026/007/04/{chat_id}")
    assert found["type"] == "application/x-ndjson"
    assert found["encoding"] == "gzip"
    signature = found["metadata"].pop("signature")
    assert re.fullmatch(rf"{archive_key.current_id()}:[0-9a-f]{{64}}", signature)
    assert found["metadata"] == {
        "first-seq": "4",
        "last-seq": "6",
        "count": "3",
        "sha256": hashlib.sha256(found["plain"]).hexdigest(),
        "generation": "1",
    }
    assert found["plain"].splitlines() == [orjson.dumps(m) for m in found["messages"]]
    assert found["raw"][4:8] == b"\0\0\0\0", "no time in the header"


def test_a_client_id_is_in_the_senders_own_copy_alone(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(1, 4))
    backups.backup()
    assert [m["client_id"] for m in in_bucket(ada, chat_id)] == ["id 1", None, None, None]
    assert [m["client_id"] for m in in_bucket(bob, chat_id)] == [None, "id 2", None, "id 4"]


@pytest.mark.parametrize(
    ("times", "paths"),
    [
        (["2025-12-31 23:59:59.999999", "2026-01-01 00:00:00"], ["2025/365/23", "2026/001/00"]),
        (["2024-12-31 23:30:00", "2025-01-01 00:00:00"], ["2024/366/23", "2025/001/00"]),
        # Central Europe's clocks went from 2 to 3 between these two; UTC knows nothing of it.
        (["2026-03-29 00:59:59", "2026-03-29 01:00:00"], ["2026/088/00", "2026/088/01"]),
    ],
)
def test_hours_and_years_end_where_utc_says(people, times, paths):
    ada, bob = people
    chat_id = talk(ada, bob, [moment(time) for time in times])
    backups.backup()
    assert keys(f"{ada.id}/") == [f"{ada.id}/{path}/{chat_id}" for path in paths]


def test_who_leaves_and_comes_back_within_an_hour_gets_both_stretches_and_no_more(people):
    ada, bob = people
    eve = Person("eve")
    group_id = ada.group(bob)
    ada.tell(group_id, "before")
    add(ada, group_id, eve)
    ada.tell(group_id, "seen")
    remove(ada, group_id, eve)
    ada.tell(group_id, "hidden")
    add(ada, group_id, eve)
    ada.tell(group_id, "seen too")
    date(group_id, every(1, 8))
    shown = told(eve, group_id)
    backups.backup()
    assert [m["seq"] for m in in_bucket(eve, group_id)] == [3, 4, 5, 7, 8]
    assert in_bucket(eve, group_id) == shown
    assert [m["seq"] for m in in_bucket(bob, group_id)] == list(range(1, 9))
    assert read(f"{eve.id}/2026/007/03/{group_id}")["metadata"]["count"] == "5"


def test_who_saw_nothing_in_an_hour_has_no_object_of_it(people):
    ada, bob = people
    group_id = ada.group()
    ada.tell(group_id, "alone")
    add(ada, group_id, bob)
    date(group_id, [*every(1, 2), moment("2026-01-07 04:00:00")])
    backups.backup()
    assert keys(f"{bob.id}/") == [f"{bob.id}/2026/007/04/{group_id}"]


def test_the_running_hour_is_left_unless_it_is_asked_for(people):
    ada, bob = people
    talk(ada, bob, every(1, 2))
    chat_id = chat_of(ada.say(bob, "just now"))
    assert backups.backup()["messages"] == 2
    assert [m["seq"] for m in in_bucket(ada, chat_id)] == [1, 2]
    assert backups.backup(now=True)["messages"] == 1
    assert [m["text"] for m in in_bucket(ada, chat_id)][-1] == "just now"
    assert Watermark.objects.get().archived_seq == 3


def test_running_again_changes_no_byte(people):
    ada, bob = people
    talk(ada, bob, every(7, 30))
    backups.backup()
    before = bucket()
    report = backups.backup()
    assert (report["objects"], report["messages"]) == (0, 0)
    assert bucket() == before
    Watermark.objects.all().delete()
    assert backups.backup()["messages"] == 30
    assert bucket() == before


def test_an_hour_that_gets_more_is_written_again_with_the_old_lines(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(1, 3))
    backups.backup()
    old = read(f"{ada.id}/2026/007/03/{chat_id}")["plain"]
    ada.say(bob, "late to commit")
    date(chat_id, [moment("2026-01-07 03:59:59.999999")], first=4)
    backups.backup()
    new = read(f"{ada.id}/2026/007/03/{chat_id}")
    assert new["plain"].startswith(old)
    assert [m["seq"] for m in new["messages"]] == [1, 2, 3, 4]
    assert Segment.objects.get().last_seq == 4
    assert HourObject.objects.get(user=ada.id).count == 4


def test_two_backups_at_once_both_end_well_and_leave_the_same_bytes(people):
    ada, bob = people
    for other in (bob, *(Person() for _ in range(4))):
        talk(ada, other, every(11, 12))
    reports = at_once(2, lambda _: backups.backup())
    assert all(report["ok"] for report in reports)
    assert sum(report["messages"] for report in reports) == 60
    before = bucket()
    Watermark.objects.all().delete()
    backups.backup()
    assert bucket() == before


def test_a_chat_that_another_run_works_on_is_waited_for(people):
    ada, bob = people
    talk(ada, bob, every(1, 3))
    number = Chat.objects.get().number
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with chat_lock(number):
            entered.set()
            leave.wait(20)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(20)
    threading.Timer(0.5, leave.set).start()
    report = backups.backup()
    holder.join()
    assert report["ok"]
    assert report["messages"] == 3


def test_an_hour_larger_than_a_portion_is_streamed_to_the_same_bytes(people, monkeypatch):
    ada, bob = people
    chat_id = talk(ada, bob, every(0.5, 40))
    backups.backup()
    before = bucket()
    monkeypatch.setattr(parts, "PORTION", 7)
    monkeypatch.setattr(hours, "IN_MEMORY_BYTES", 100)
    Watermark.objects.all().delete()
    assert backups.backup()["ok"]
    assert bucket() == before
    assert in_bucket(bob, chat_id) == told(bob, chat_id)


def test_the_snapshot_holds_everything_but_messages_and_no_token(people):
    ada, bob = people
    ada.user.set_password("correct horse battery")
    ada.user.save()
    talk(ada, bob, every(1, 3))
    ada.post("/block_user", user_id=str(bob.id))
    backups.backup(hour=hour_from(moment("2026-01-07 03:00:00")))
    found = {
        name: read(f"_system/2026/007/03/{name}")["messages"]
        for name in ("users", "blocks", "chats", "memberships", "manifest")
    }
    assert {user["username"] for user in found["users"]} >= {"ada", "bob"}
    assert any(user["password"].startswith("argon2") for user in found["users"])
    assert found["blocks"][0]["blocker_id"] == str(ada.id)
    assert len(found["memberships"]) == 2
    assert found["chats"][0]["kind"] == "private"
    assert found["manifest"][0]["tables"]["users"]["count"] == len(found["users"])
    assert ada.token not in json.dumps(found)


def test_an_hour_that_has_not_ended_is_refused():
    with pytest.raises(backups.NotOver):
        backups.backup(hour=hour_from(moment("2200-01-01 00:00:00")))


def test_a_dry_run_writes_nothing(people):
    ada, bob = people
    talk(ada, bob, every(1, 3))
    report = backups.backup(dry_run=True)
    assert report["messages"] == 3
    assert keys() == []
    assert not Segment.objects.exists()


def test_a_damaged_or_lost_object_is_written_again_to_the_same_bytes(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(1, 5))
    backups.backup()
    before = bucket()
    mine, theirs = (f"{person.id}/2026/007/03/{chat_id}" for person in people)
    overwrite(mine, before[theirs])
    store.patient.delete([theirs])
    report = backups.backup(hour=hour_from(moment("2026-01-07 03:00:00")))
    assert report["ok"]
    assert report["repaired"] == 2
    assert bucket() == before
