"""Retention: by the key's hour, nothing younger than Z, each run on record."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from archive import backup as backups
from archive import purge, store, trim
from archive.locks import chat_lock
from archive.models import HourObject, RetentionRun, Segment
from archive.runs import Tally
from archive.tests.conftest import keys
from archive.tests.world import add, command, date, every, moment, read, remove, talk, told
from common.cache import cache
from common.tests.servers import at_once
from messaging.models import Chat, Message, TrimmedSend
from messaging.tiers import Chat as ChatName
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _small(settings):
    settings.HOT_MESSAGES_PER_CHAT = 5
    settings.DB_MESSAGES_PER_CHAT = 10


@pytest.fixture
def days_to_noon():
    """How long ago 2026-01-07 06:30 was, in days: hours up to 05 have ended by then, 06 has not."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp() - %s) / 86400",
                       [moment("2026-01-07 06:30:00")])  # fmt: skip
        return float(cursor.fetchone()[0])


@pytest.fixture
def chat(settings, days_to_noon):
    settings.ARCHIVE_RETENTION_DAYS = days_to_noon
    ada, bob = Person("ada"), Person("bob")
    chat_id = talk(ada, bob, every(10, 40))
    backups.backup()
    return ada, bob, chat_id


def test_hours_past_retention_go_and_nothing_younger(chat):
    ada, bob, chat_id = chat
    trim.trim()
    before = told(bob, chat_id)
    dry = purge.purge(dry_run=True)
    assert (dry["due"], dry["deleted"]) == (6, 0)
    report = purge.purge()
    assert report["ok"]
    assert (report["due"], report["deleted"], report["kept"]) == (6, 6, 8)
    hours = sorted({key.split("/")[3] for key in keys(f"{ada.id}/")})
    assert hours == ["06", "07", "08", "09"]
    assert Chat.objects.get().start_seq == 19
    assert told(bob, chat_id) == before[18:]
    assert bob.client.get(f"/chats/{chat_id}/").json()["start"] == 19
    assert min(Segment.objects.values_list("first_seq", flat=True)) == 19
    assert not TrimmedSend.objects.filter(seq__lt=19).exists()
    run = RetentionRun.objects.get()
    assert (run.due, run.deleted, run.kept, run.failed) == (6, 6, 8, 0)
    assert run.oldest == moment("2026-01-07 06:00:00")
    assert run.finished_at


def test_what_the_database_still_holds_stays_readable_and_goes_with_a_later_trim(chat):
    _, bob, chat_id = chat
    before = told(bob, chat_id)
    purge.purge()
    assert told(bob, chat_id) == before, "all of it is in the database"
    assert Chat.objects.get().start_seq == 1
    trim.trim()
    assert Message.objects.count() == 10
    assert Chat.objects.get().start_seq == 19
    assert told(bob, chat_id) == before[18:]


@pytest.mark.usefixtures("chat")
def test_a_later_backup_brings_nothing_back():
    purge.purge()
    left = keys("")
    assert backups.backup()["messages"] == 0
    assert [key for key in keys("") if not key.startswith("_system")] == [
        key for key in left if not key.startswith("_system")
    ]


def test_killed_at_every_step(settings):
    settings.ARCHIVE_RETENTION_DAYS = 10
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = hour - timedelta(days=10, hours=3)
    ada, bob = Person("ada"), Person("bob")
    chat_id = talk(ada, bob, [start + timedelta(minutes=10 * n) for n in range(40)])
    backups.backup()
    trim.trim()
    before = told(bob, chat_id)
    for name in ("purge.before", "purge.inside", "purge.hidden", "purge.deleted", "purge.rows"):
        killed = command("purge", ARCHIVE_DIE_AT=name, ARCHIVE_RETENTION_DAYS="10")
        assert killed.returncode == -9, name
        assert told(bob, chat_id) in (before, before[18:]), name
    report = purge.purge()
    assert report["ok"]
    assert report["kept"] == 8
    assert told(bob, chat_id) == before[18:]
    assert HourObject.objects.count() == 8
    assert RetentionRun.objects.filter(finished_at=None).count() == 5
    assert not TrimmedSend.objects.filter(seq__lt=19).exists()
    assert TrimmedSend.objects.filter(seq__gte=19).exists()


def test_what_client_ids_stood_for_goes_some_at_a_time(chat, monkeypatch):
    _, _, chat_id = chat
    trim.trim()
    gone, kept = (TrimmedSend.objects.filter(**{f"seq__{way}": 19}) for way in ("lt", "gte"))
    going, left = gone.count(), kept.count()
    assert going > 8
    monkeypatch.setattr(trim, "BATCH", 5)
    number = Chat.objects.get().number
    before = moment("2026-01-07 06:30:00")
    with chat_lock(number) as lock, CaptureQueriesContext(connection) as asked:
        purge.purge_chat(ChatName(chat_id, number), before, lock, Tally())
    deletes = [one for one in asked if "DELETE FROM messaging_trimmedsend" in one["sql"]]
    assert len(deletes) == going // 5 + (going % 5 > 0) + 1
    assert (gone.count(), kept.count()) == (0, left)


def test_strays_are_reported_and_removed_only_past_retention(chat):
    ada, bob, _ = chat
    body = read(keys(f"{ada.id}/")[0])["raw"]
    old, young = (f"{ada.id}/2026/007/{hour}/{bob.id}" for hour in ("02", "12"))
    for key in (old, young, "somebody/elses"):
        store.patient.client.put_object(Bucket="strata", Key=key, Body=body)
    report = purge.purge(sweep=True)
    assert (report["stray"], report["stray_removed"], report["foreign"]) == (2, 1, 1)
    assert old not in keys()
    assert {young, "somebody/elses"} <= set(keys())


def test_a_purge_while_others_back_up_and_trim(chat):
    _, bob, chat_id = chat
    before = told(bob, chat_id)
    at_once(3, lambda n: (purge.purge, trim.trim, backups.backup)[n]())
    trim.trim()
    purge.purge()
    assert told(bob, chat_id) == before[18:]


@pytest.mark.usefixtures("chat")
def test_a_raised_retention_keeps_what_is_there(settings):
    settings.ARCHIVE_RETENTION_DAYS = 100_000
    left = keys()
    assert purge.purge()["deleted"] == 0
    assert keys() == left


def test_start_passes_over_a_stretch_that_has_expired(settings, days_to_noon):
    settings.ARCHIVE_RETENTION_DAYS = days_to_noon
    ada, bob = Person("ada"), Person("bob")
    bob.poll()
    group = ada.group(bob)
    for n in range(6):
        ada.tell(group, f"{n}")
    remove(ada, group, bob)
    for n in range(20):
        ada.tell(group, f"without bob {n}")
    add(ada, group, bob)
    back = Chat.objects.get().last_seq
    for n in range(12):
        ada.tell(group, f"with bob {n}")
    last = Chat.objects.get().last_seq
    # Bob's first stretch is of 03:00, what he did not see begins there and ends at 07:00.
    date(group, [*every(0.5, 12), *every(10, last - 12, "2026-01-07 04:00:00")])
    backups.backup()
    trim.trim()
    purge.purge()
    start = Chat.objects.get().start_seq
    assert 12 < start < back
    assert bob.client.get(f"/chats/{group}/").json()["start"] == back
    assert ada.client.get(f"/chats/{group}/").json()["start"] == start
    ada.tell(group, "news")
    cache.execute("FLUSHDB")
    assert bob.poll()["chats"][0]["start"] == back, "with a cursor, from the database"
    bob.cursor = None
    assert bob.poll()["chats"][0]["start"] == back, "without one"
    assert told(bob, group)[0]["seq"] == back


def test_zero_days_keep_for_ever(settings):
    ada, bob = Person("ada"), Person("bob")
    talk(ada, bob, every(7, 40, "1999-01-07 03:00:00"))
    backups.backup()
    kept = keys("")
    settings.ARCHIVE_RETENTION_DAYS = 0
    for report in (purge.purge(dry_run=True), purge.purge(), purge.purge(sweep=True)):
        assert (report["ok"], report["due"]) == (True, 0)
    assert keys("") == kept
    run = RetentionRun.objects.first()
    assert run
    assert (run.days, run.due, run.deleted) == (0, 0, 0)
    assert run.kept == HourObject.objects.count() > 0
