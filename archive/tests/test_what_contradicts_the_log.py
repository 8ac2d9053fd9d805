"""Hour objects of what a database that went back does not have: kept aside, named, never lost."""

from datetime import timedelta

import pytest
from django.conf import settings

from archive import contradicted, purge, store
from archive.backup import backup
from archive.erase import erase_message, erase_user
from archive.hours import hour_start
from archive.models import Segment, Watermark
from archive.runs import Tally
from archive.tests.conftest import keys
from archive.tests.world import bucket, chat_of, in_bucket, overwrite, read
from archive.verify import verify
from messaging.sweeper import Sweeper
from tests.core.dumps import bring_back, dump
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
LOST = [f"lost {number}" for number in range(1, 6)]


def kept() -> list[str]:
    return [key for key in keys() if "/_contradicted/" in key]


def texts(key: str) -> list[str]:
    return [message["text"] for message in read(key)["messages"]]


class World:
    """Five messages that were sent and backed up after a dump, which then comes back."""

    def __init__(self, file) -> None:
        self.ada, self.bob, self.file = Person("ada"), Person("bob"), file
        for number in (1, 2, 3):
            self.chat_id = chat_of(self.ada.say(self.bob, f"before {number}"))
        Sweeper().sweep()
        dump(file)
        for text in LOST:
            self.ada.say(self.bob, text)
        assert backup(now=True)["ok"]
        self.objects = bucket()

    def go_back(self) -> None:
        bring_back(self.file)
        for number in (1, 2):
            self.ada.say(self.bob, f"after {number}")


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "dump")


def test_a_backup_keeps_the_only_copy_of_what_was_lost_and_writes_the_truth(world):
    world.go_back()
    report = backup(now=True)
    assert report["ok"], report
    assert report["went_back"] == 1
    assert report["contradicted"] == 2
    assert sorted(report["kept_aside"]) == sorted(kept())
    for person in (world.ada, world.bob):
        (key,) = [key for key in kept() if key.startswith(f"{person.id}/_contradicted/")]
        assert texts(key)[-5:] == LOST
        (place,) = [k for k in world.objects if k.startswith(f"{person.id}/")]
        assert read(key)["raw"] == world.objects[place]
        assert [m["text"] for m in in_bucket(person, world.chat_id)] == [
            "before 1", "before 2", "before 3", "after 1", "after 2",
        ]  # fmt: skip
    assert verify()["ok"]
    again = backup(now=True)
    assert "contradicted" not in again


def test_a_chat_that_the_older_database_does_not_have_is_set_aside(world, tmp_path):
    eve = Person("eve")
    eve.say(world.bob, "a chat that will be lost")
    backup(now=True)
    world.go_back()
    report = backup(now=True)
    assert report["ok"], report
    assert [texts(key) for key in kept() if key.startswith(f"{eve.id}/")] == [
        ["a chat that will be lost"]
    ]
    assert not [key for key in bucket() if key.startswith(f"{eve.id}/") and key not in kept()]


def test_a_lost_message_in_an_hour_that_is_not_written_again_is_set_aside_too(world):
    bring_back(world.file)
    report = backup(now=True)
    assert report["ok"], report
    assert report["contradicted"] == 2
    assert [m["text"] for m in in_bucket(world.bob, world.chat_id)] == [
        "before 1", "before 2", "before 3",
    ]  # fmt: skip
    assert verify()["ok"]


def test_a_run_that_died_before_it_recorded_contradicts_nothing(world):
    Segment.objects.all().delete()
    Watermark.objects.all().delete()
    world.ada.say(world.bob, "one more")
    report = backup(now=True)
    assert report["ok"], report
    assert "contradicted" not in report
    assert kept() == []


def test_a_text_that_was_removed_here_and_not_there_contradicts_nothing(world):
    key = next(k for k in world.objects if k.startswith(f"{world.bob.id}/"))
    raw = read(key)["raw"]
    metadata = read(key)["metadata"]
    erase_message(chat_id=world.chat_id, seq=2)
    store.patient.client.put_object(
        Bucket=settings.S3_BUCKET, Key=key, Body=raw, Metadata=metadata,
        ContentEncoding="gzip", ContentType="application/x-ndjson",
    )  # fmt: skip
    assert contradicted.keep_if_contradicted(store.patient, key) is None


def test_twice_in_a_row_each_lost_stretch_is_kept(world):
    world.go_back()
    backup(now=True)
    world.go_back()
    world.ada.say(world.bob, "third")
    backup(now=True)
    assert len(kept()) == 4


def test_what_was_kept_aside_goes_with_its_hour(world):
    world.go_back()
    backup(now=True)
    (one, other) = contradicted.kept_aside(store.patient)
    assert one.hour == other.hour
    report = purge.purge(sweep=True)
    assert len(kept()) == 2
    assert report["foreign"] == 0
    start, tally = hour_start(one.hour), Tally()
    purge._purge_kept_aside(start + timedelta(minutes=59), tally)
    assert len(kept()) == 2
    purge._purge_kept_aside(start + timedelta(hours=1), tally)
    assert kept() == []
    assert keys(contradicted.NOTES) == []


def test_verify_reads_what_was_kept_aside(world):
    world.go_back()
    backup(now=True)
    overwrite(kept()[0], b"spoiled")
    report = verify()
    assert not report["ok"]
    assert kept()[0] in report["failures"][0]


def test_who_is_erased_is_erased_there_too(world):
    world.go_back()
    backup(now=True)
    erase_user(user_id=world.ada.id, texts=True)
    (left,) = kept()
    assert left.startswith(f"{world.bob.id}/")
    assert {message["kind"] for message in read(left)["messages"]} == {"removed"}
    assert {message["text"] for message in read(left)["messages"]} == {""}
    assert verify()["ok"]
    (note,) = contradicted.kept_aside(store.patient)
    assert note.user_id == world.bob.id


def test_an_erased_message_goes_from_there_and_another_of_its_number_stays(world):
    world.go_back()
    backup(now=True)
    erase_message(chat_id=world.chat_id, seq=2)
    erase_message(chat_id=world.chat_id, seq=4)
    for key in kept():
        assert texts(key) == ["before 1", "", "before 3", *LOST]
