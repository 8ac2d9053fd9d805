"""How the runs went, as metrics and the admin are told it."""

import pytest

from archive import backup as backups
from archive import drill, erase, purge, selectors
from archive.models import BackupRun
from archive.runs import Tally
from archive.tests.world import command, every, talk
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


def test_before_any_run_there_is_nothing_to_tell():
    found = selectors.health()
    assert (found.backed_up_until, found.backup_lag_seconds) == (None, None)
    assert (found.drill, found.purge, found.erasures_waiting) == (None, None, 0)
    assert found.age_seconds(found.drill) is None


def test_after_the_runs_their_results_are_told():
    ada, bob = Person("ada"), Person("bob")
    talk(ada, bob, every(20, 9))
    report = backups.backup()
    ada.say(bob, "in the running hour")
    drill.drill()
    purge.purge(dry_run=True)
    purge.purge()
    found = selectors.health()
    assert found.backed_up_until
    assert found.backed_up_until.isoformat() == report["until"]
    assert found.backup_lag_seconds is not None
    assert 0 < found.backup_lag_seconds < 3700
    assert found.drill
    assert (found.drill.ok, found.drill.lost) == (True, 1)
    assert found.purge
    assert found.purge.deleted == 6
    for run in (found.drill, found.purge):
        age = found.age_seconds(run)
        assert age is not None
        assert 0 <= age < 120
    taken = BackupRun.objects.get()
    assert (taken.messages, taken.objects_written, taken.failed) == (9, 6, 0)


def test_a_backup_that_failed_or_was_killed_moves_nothing_forward():
    ada, bob = Person("ada"), Person("bob")
    talk(ada, bob, every(20, 9))
    assert command("backup", S3_ENDPOINT_URL="http://127.0.0.1:9").returncode == 1
    assert command("backup", ARCHIVE_DIE_AT="put.after").returncode == -9
    assert selectors.health().backed_up_until is None
    assert [(run.finished_at is None, run.failed > 0) for run in BackupRun.objects.order_by("id")] == [
        (False, True), (True, False),
    ]  # fmt: skip


def test_an_erasure_that_is_not_done_is_counted():
    ada, bob = Person("ada"), Person("bob")
    chat_id = talk(ada, bob, every(20, 3))
    backups.backup()
    away = {"S3_ENDPOINT_URL": "http://127.0.0.1:9"}
    assert command("erase", "--chat", str(chat_id), "--seq", "2", **away).returncode == 1
    assert command("erase", "--user", str(bob.id), **away).returncode == 1
    assert selectors.health().erasures_waiting == 2
    erase.finish(Tally())
    assert selectors.health().erasures_waiting == 0


def test_it_costs_six_queries(django_assert_num_queries):
    with django_assert_num_queries(6):
        selectors.health()
