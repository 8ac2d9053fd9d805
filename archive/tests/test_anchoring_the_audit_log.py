"""The bucket is told how far the audit log has got: who cuts off its end is found out."""

import pytest
from django.core.management import call_command
from django.db import connection

from archive import anchors, tasks
from archive.backup import backup
from archive.store import patient
from archive.tests.conftest import keys
from audit import chain
from audit.models import Action, Entry
from audit.services import record

pytestmark = pytest.mark.django_db(transaction=True)


def verdict(capsys, *options):
    code = 0
    try:
        call_command("audit", "--verify", *options)
    except SystemExit as ended:
        code = int(str(ended.code))
    found = capsys.readouterr()
    return code, found.out + found.err


def cut(number):
    """Take away the entries from a number on, as the owner of the table can."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_stays")
        cursor.execute("DELETE FROM audit_entry WHERE id >= %s", [number])
        cursor.execute("ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER audit_entry_stays")


@pytest.fixture
def three(transactional_db):
    for _ in range(3):
        record(Action.BAN)


def test_each_head_is_told_once(three):
    assert tasks.anchor_audit()
    assert not tasks.anchor_audit()
    record(Action.BAN)
    assert tasks.anchor_audit()
    assert [head.id for head in anchors.seen()] == [3, 4]
    assert anchors.seen()[1] == chain.newest()


def test_an_empty_log_has_nothing_to_tell(transactional_db):
    assert not anchors.note(patient)
    assert keys() == []


def test_a_backup_tells_it_too(three):
    assert backup()["ok"]
    assert [head.id for head in anchors.seen()] == [3]


def test_all_is_right(three, capsys):
    anchors.note(patient)
    record(Action.BAN)
    code, said = verdict(capsys)
    assert code == 0
    assert "All 4 entries are right" in said
    assert "1 heads seen before" in said


def test_an_end_that_was_cut_off_is_noticed_also_once_the_log_has_grown_again(three, capsys):
    anchors.note(patient)
    cut(2)
    assert verdict(capsys, "--database-only")[0] == 0
    code, said = verdict(capsys)
    assert code == 1
    assert "entry 2 and those up to 3 are missing at the end" in said
    for _ in range(4):
        record(Action.BAN)
    anchors.note(patient)
    code, said = verdict(capsys)
    assert code == 1
    assert "entry 3 is another than the one seen before" in said


def test_a_log_that_was_begun_anew_is_noticed_unless_one_says_since_when(three, capsys):
    anchors.note(patient)
    cut(1)
    entry = record(Action.RESTORE)
    assert verdict(capsys)[0] == 1
    since = f"{entry.at:%Y-%m-%dT%H:%M:%S.%f}"
    code, said = verdict(capsys, "--since", since)
    assert code == 0
    assert "All 1 entries" in said


def test_a_bucket_that_is_away_proves_nothing(three, capsys, s3_away):
    code, said = verdict(capsys)
    assert code == 1
    assert "can't be read" in said
    assert not tasks.anchor_audit()


def test_what_else_lies_there_is_no_anchor(three):
    patient.put_plain(f"{anchors.PREFIX}x", b"", {})
    assert anchors.seen() == []
    assert Entry.objects.count() == 3
