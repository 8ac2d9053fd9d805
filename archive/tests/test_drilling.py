"""Drill: a restore is proved, and what a loss would cost is a number."""

import os
from uuid import UUID

import pytest
from django.db import connection

from archive import backup as backups
from archive import drill, purge, trim
from archive.models import DrillRun
from archive.tests.conftest import keys
from archive.tests.world import date, every, overwrite, talk
from messaging.models import Message
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def chat(settings):
    settings.HOT_MESSAGES_PER_CHAT = 5
    settings.DB_MESSAGES_PER_CHAT = 10
    ada, bob = Person("ada"), Person("bob")
    chat_id = talk(ada, bob, every(20, 30))
    backups.backup()
    trim.trim()
    return ada, bob, chat_id


def scratch_databases() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_database WHERE datname LIKE 'strata_drill_%'")
        return int(cursor.fetchone()[0])


def test_it_restores_compares_and_says_what_a_loss_would_cost(chat):
    ada, bob, _ = chat
    ada.say(bob, "not in cold storage yet")
    report = drill.drill()
    assert report["ok"], report
    assert (report["restored"], report["lost"], report["differing"]) == (30, 1, 0)
    assert 0 < report["lost_seconds"] < 120
    run = DrillRun.objects.get()
    assert (run.ok, run.restored, run.lost) == (True, 30, 1)
    assert scratch_databases() == 0


def test_it_works_where_the_secrets_come_from_files(chat, monkeypatch, tmp_path):
    for name in ("DATABASE_URL", "REDIS_URL", "S3_SECRET_ACCESS_KEY"):
        file = tmp_path / name
        file.write_text(os.environ[name])
        monkeypatch.delenv(name)
        monkeypatch.setenv(f"{name}_FILE", str(file))
    report = drill.drill()
    assert report["ok"], report
    assert report["restored"] == 30
    assert scratch_databases() == 0


def test_it_fails_when_the_backup_is_not_what_was_sent(chat):
    _, _, chat_id = chat
    Message.objects.filter(chat=chat_id, seq=25).update(text="another")
    report = drill.drill()
    assert report["ok"] is False
    assert report["differing"] == 1
    for key in keys(""):
        if not key.startswith("_system/"):
            overwrite(key, b"rubbish")
    report = drill.drill()
    assert report["ok"] is False
    assert report["lost"] == 10
    assert [run.ok for run in DrillRun.objects.all()] == [False, False]
    assert scratch_databases() == 0


def when(monkeypatch, name: str, act) -> None:
    """Do something once the drill is at a step, while it goes on by itself."""
    monkeypatch.setattr(drill, "step", lambda at: act() if at == name else None)


def test_what_is_backed_up_and_trimmed_meanwhile_is_no_loss(chat, monkeypatch):
    ada, bob, chat_id = chat

    def go_on() -> None:
        for number in range(30):
            ada.say(bob, f"meanwhile {number}")
        date(chat_id, every(20, 60)[30:], first=31)
        assert backups.backup(now=True)["ok"]
        assert trim.trim()["ok"]

    when(monkeypatch, "drill.restored", go_on)
    report = drill.drill()
    assert Message.objects.filter(chat=chat_id).count() == 10
    assert report["ok"], report
    assert (report["restored"], report["missing"]) == (30, 0)


def test_what_is_purged_meanwhile_is_no_loss(chat, monkeypatch, settings):
    def go_on() -> None:
        settings.ARCHIVE_RETENTION_DAYS = 1
        purge.purge()

    when(monkeypatch, "drill.ranges", go_on)
    report = drill.drill()
    assert report["missing"] == 0, report


def test_ranges_of_before_and_of_now_are_held_against_each_other():
    one, other = UUID(int=1), UUID(int=2)
    before = [(one, 1, 10), (one, 20, 30), (other, 1, 5)]
    now = [(one, 4, 22), (one, 25, 60), (other, 6, 9)]
    assert list(drill.both(iter(before), iter(now))) == [
        (one, 4, 10), (one, 20, 22), (one, 25, 30)
    ]  # fmt: skip
