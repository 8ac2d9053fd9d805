"""A backup killed at any step: nothing recorded is wrong, and the next run finishes to the byte."""

import pytest

from archive import backup as backups
from archive.models import HourObject, Segment, Watermark
from archive.tests.conftest import keys
from archive.tests.world import bucket, command, date, every, in_bucket, read, talk, told
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


def recorded_is_there() -> None:
    """Check that whatever the index says is in the bucket as it says."""
    for entry in HourObject.objects.select_related("segment__chat"):
        hour = entry.segment.hour
        key = f"{entry.user_id}/{hour:%Y}/{hour.timetuple().tm_yday:03}/{hour:%H}/{entry.segment.chat_id}"
        found = read(key)
        assert found["messages"][0]["seq"] == entry.first_seq
        assert len(found["messages"]) >= entry.count
    for segment in Segment.objects.all():
        assert Watermark.objects.get(chat=segment.chat_id).archived_seq >= segment.last_seq


def test_killed_at_every_step(tmp_path):
    ada, bob, eve = Person("ada"), Person("bob"), Person("eve")
    group_id = ada.group(bob, eve)
    for number in range(6):
        ada.tell(group_id, f"{number}")
    date(group_id, every(15, 7))
    shown = {person.id: told(person, group_id) for person in (ada, bob, eve)}

    steps = tmp_path / "steps"
    result = command("backup", "--json", ARCHIVE_STEPS_FILE=str(steps))
    assert result.returncode == 0, result.stderr
    whole = bucket()
    names = dict.fromkeys(steps.read_text().split())
    assert set(names) == {
        "chat.locked", "put.before", "put.after", "read_back.after", "record.before",
        "record.inside", "record.after",
        "manifest.assigned", "manifest.put", "manifest.inside", "manifest.after", "manifest.base",
        "snapshot.before", "snapshot.manifest", "snapshot.after",
    }  # fmt: skip
    assert len(whole) == 6

    # Those of the manifests have a test of their own.
    for name in (name for name in names if not name.startswith("manifest.")):
        Segment.objects.all().delete()
        Watermark.objects.all().delete()
        from archive import store

        store.patient.delete(keys())
        killed = command("backup", ARCHIVE_DIE_AT=name)
        assert killed.returncode == -9, (name, killed.stderr)
        recorded_is_there()
        report = backups.backup()
        assert report["ok"], (name, report)
        assert bucket() == whole, name
        recorded_is_there()
    for person in (ada, bob, eve):
        assert in_bucket(person, group_id) == shown[person.id]


def test_killed_while_an_hour_is_written_again_the_old_lines_are_never_lost(tmp_path):
    ada, bob = Person("ada"), Person("bob")
    chat_id = talk(ada, bob, every(1, 5))
    backups.backup()
    for number in range(3):
        ada.say(bob, f"more {number}")
    date(chat_id, every(1, 8))
    from archive.tests.world import cut_rows

    shown = {person.id: told(person, chat_id) for person in (ada, bob)}
    cut_rows(chat_id, 5)
    for name in ("put.before", "put.after", "put.before#2", "record.before", "record.inside"):
        killed = command("backup", ARCHIVE_DIE_AT=name)
        assert killed.returncode == -9, (name, killed.stderr)
        recorded_is_there()
        for person in (ada, bob):
            assert told(person, chat_id) == shown[person.id], name
    assert backups.backup()["ok"]
    for person in (ada, bob):
        assert in_bucket(person, chat_id) == shown[person.id]


def test_the_command_says_what_it_did_and_how_it_ended():
    ada, bob = Person("ada"), Person("bob")
    talk(ada, bob, every(1, 3))
    assert "messages 3" in command("backup", "--dry-run").stdout
    result = command("backup")
    assert result.returncode == 0
    assert "done" in result.stdout
    assert "backup: done" in result.stderr, "one line in the log"
    assert command("backup", "--hour", "2026-13-01T00").returncode == 2
    assert command("backup", "--hour", "2200-01-01T00").returncode == 2
    talk(ada, Person(), every(1, 3))
    refused = command("backup", "--json", S3_ENDPOINT_URL="http://127.0.0.1:9")
    assert refused.returncode == 1
    assert '"ok":false' in refused.stdout
