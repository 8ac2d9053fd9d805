"""Drill: a restore is proved, and what a loss would cost is a number."""

import os

import pytest
from django.db import connection

from archive import backup as backups
from archive import drill, trim
from archive.models import DrillRun
from archive.tests.conftest import keys
from archive.tests.world import every, overwrite, talk
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
