"""Repairs and drills killed at any step: nothing is half-done, and the next one finishes."""

import pytest

from archive import backup as backups
from archive import drill, trim
from archive.locks import held
from archive.models import DrillRun
from archive.tests.conftest import keys
from archive.tests.test_drilling import scratch_databases
from archive.tests.world import bucket, command, every, overwrite, talk, told
from archive.verify import verify
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def chat(settings):
    settings.HOT_MESSAGES_PER_CHAT = 5
    settings.DB_MESSAGES_PER_CHAT = 10
    ada, bob = Person("ada"), Person("bob")
    chat_id = talk(ada, bob, every(1, 30))
    backups.backup()
    trim.trim()
    return ada, bob, chat_id


@pytest.mark.parametrize("step", ["repair.before", "put.after", "repair.after"])
def test_a_killed_repair_is_repaired(chat, step):
    ada, bob, chat_id = chat
    before, shown = bucket(), told(bob, chat_id)
    overwrite(next(key for key in keys(f"{ada.id}/")), b"damaged")
    killed = command("verify", "--repair", ARCHIVE_DIE_AT=step)
    assert killed.returncode == -9, killed.stderr
    assert told(bob, chat_id) == shown
    assert verify(repair=True)["ok"]
    assert bucket() == before
    assert told(ada, chat_id) != []


@pytest.mark.parametrize("step", ["drill.created", "drill.ranges", "drill.restored"])
def test_what_a_killed_drill_leaves_goes_with_the_next(chat, step):
    killed = command("drill", ARCHIVE_DIE_AT=step)
    assert killed.returncode == -9, killed.stderr
    assert scratch_databases() == 1
    assert DrillRun.objects.get().finished_at is None
    before = bucket()
    assert drill.drill()["ok"]
    assert scratch_databases() == 0
    assert bucket() == before


def test_two_drills_at_once_are_one(chat):
    with held(drill._LOCK, patience=0.0):
        refused = command("drill")
    assert refused.returncode == 1
    assert "another run" in refused.stdout
    assert drill.drill()["ok"]
