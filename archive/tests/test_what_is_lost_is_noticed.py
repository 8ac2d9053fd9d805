"""What somebody deletes from the bucket is noticed within the hour, and by a drill."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.db.models.functions import Now

from archive import backup as backups
from archive import drill, listing, purge, store, tasks, trim, verify
from archive.hours import parse_key
from archive.listing import objects_of
from archive.models import BackupRun, DrillRun, ErasedUser, HourObject, Segment
from archive.runs import Tally
from archive.tests.conftest import keys
from archive.tests.world import every, talk
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(settings):
    settings.HOT_MESSAGES_PER_CHAT = 5
    settings.DB_MESSAGES_PER_CHAT = 10
    ada, bob = Person("ada"), Person("bob")
    chat_id = talk(ada, bob, every(20, 30))
    assert backups.backup()["ok"]
    assert trim.trim()["ok"]
    return ada, bob, chat_id


def hour_keys() -> list[str]:
    return [key for key in keys() if parse_key(key)]


def of_the_first_hour() -> list[str]:
    first = Segment.objects.earliest("hour")
    return [key for key in hour_keys() if f"/{first.hour:%H}/" in key]


def test_a_bucket_that_is_whole_lacks_nothing(world):
    report = backups.backup()
    assert report["ok"], report
    assert BackupRun.objects.latest("pk").missing == 0
    report = drill.drill()
    assert (report["ok"], report["missing"]) == (True, 0)


def test_all_copies_of_a_trimmed_hour(world):
    gone = of_the_first_hour()
    assert len(gone) == 2
    store.patient.delete(gone)
    report = backups.backup()
    assert report["ok"] is False
    assert report["missing"] == 2
    assert "2 objects of 2 users that the index has are not there" in report["failures"][0]
    run = BackupRun.objects.latest("pk")
    assert (run.missing, run.failed) == (2, 1)
    report = drill.drill()
    assert report["ok"] is False
    assert (report["missing"], report["lost"]) == (3, 0)
    assert "3 messages that only cold storage should have are lost" in report["failures"][0]
    assert DrillRun.objects.latest("pk").missing == 3


def test_one_copy_of_an_hour_is_missed_though_its_messages_can_be_restored(world):
    store.patient.delete(of_the_first_hour()[:1])
    assert backups.backup()["missing"] == 1
    report = drill.drill()
    assert report["missing"] == 0


def test_one_that_is_there_beyond_the_index_hides_none_that_is_not(world):
    gone = of_the_first_hour()[0]
    user, chat_id = gone.split("/")[0], gone.split("/")[-1]
    found = store.patient.client.get_object(Bucket=settings.S3_BUCKET, Key=gone)
    # As an object of an hour that the index knows nothing of.
    store.patient.client.put_object(
        Bucket=settings.S3_BUCKET, Key=f"{user}/2020/001/00/{chat_id}", Body=found["Body"].read()
    )
    assert backups.backup()["ok"], "more than there should be is no loss"
    store.patient.delete([gone])
    report = backups.backup()
    assert (report["ok"], report["missing"]) == (False, 1)
    assert gone in report["failures"][0]


def test_a_bucket_that_was_emptied(world):
    number = len(hour_keys())
    store.patient.delete(keys())
    report = backups.backup()
    assert report["ok"] is False
    assert report["missing"] == number == HourObject.objects.count()
    report = drill.drill()
    assert report["ok"] is False
    assert (report["missing"], report["lost"]) == (20, 10)


def test_what_purge_took_is_not_missed(world, settings):
    settings.ARCHIVE_RETENTION_DAYS = 1
    purge.purge()
    assert hour_keys() == []
    assert backups.backup()["ok"]
    report = drill.drill()
    assert report["missing"] == 0, report


def test_who_is_erased_is_not_looked_for(world):
    ada, bob, _ = world
    for one in (ada, bob):
        ErasedUser.objects.create(user_id=one.id)
    store.patient.delete(hour_keys())
    assert list(listing._pairs(store.patient)) == []


def test_what_goes_out_of_the_index_while_it_lists_is_not_missed(world, monkeypatch):
    counted = list(listing._pairs(store.patient))
    store.patient.delete(hour_keys())
    HourObject.objects.all().delete()
    monkeypatch.setattr(
        listing,
        "_pairs",
        lambda _: iter([(one, wanted, objects_of([])) for one, wanted, _ in counted]),
    )
    listing.compare(store.patient, Tally())


def test_a_large_bucket_is_listed_in_parts(world, monkeypatch):
    monkeypatch.setattr(listing, "LISTED_MOST", 1)
    begun = {pair[0] for _ in range(30) for pair in list(listing._pairs(store.patient))[:1]}
    assert begun == {one.id for one in world[:2]}
    store.patient.delete(hour_keys())
    with pytest.raises(listing.Lost):
        listing.compare(store.patient, Tally())


def test_users_are_counted_in_portions(world, monkeypatch):
    monkeypatch.setattr(listing, "USERS_AT_ONCE", 1)
    pairs = list(listing._pairs(store.patient))
    assert [pair[0] for pair in pairs] == sorted(one.id for one in world[:2])
    assert all(expected == there for _, expected, there in pairs)


def aged(days: float, **chosen: object) -> None:
    Segment.objects.filter(**chosen).update(verified_at=Now() - timedelta(days=days))


def due() -> list[int]:
    return [choice.segment_id for choice in verify._due()]


def test_each_night_what_was_not_read_for_six_days_is_read_the_longest_unread_first(world):
    segments = list(Segment.objects.order_by("hour"))
    aged(1)
    assert due() == []
    aged(7, pk=segments[2].pk)
    aged(9, pk=segments[5].pk)
    assert due() == [segments[5].pk, segments[2].pk]
    assert tasks.verify()
    assert due() == []


def test_the_newest_hours_are_read_each_night(world):
    newest = Segment.objects.latest("hour")
    Segment.objects.filter(pk=newest.pk).update(hour=Now() - timedelta(hours=3))
    assert due() == [newest.pk]


def test_what_is_wrong_is_read_again_each_night_until_it_is_right(world):
    aged(7)
    store.patient.delete(of_the_first_hour()[:1])
    assert not tasks.verify()
    assert len(due()) == 1
    assert not tasks.verify()
    assert verify.verify(due=True, repair=True)["repaired"] == 1
    assert tasks.verify()
    assert due() == []
