"""What is in the bucket from before the key, or with an older one, is signed anew by copy."""

import gzip

import pytest

from archive import backup as backups
from archive import manifests, restore, store
from archive.models import ArchiveKey, HourObject, ManifestHour, ManifestNote, ManifestShard
from archive.tests.conftest import keys
from archive.tests.test_manifests import lose_database
from archive.tests.world import command, every, read, talk
from archive.verify import verify
from common import archive_key
from messaging.models import Message
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "the-next-archive-key-0123456789-abc"


@pytest.fixture
def people():
    ada, bob = Person("ada"), Person("bob")
    talk(ada, bob, every(20, 6))
    backups.backup()
    return ada, bob


def objects():
    return [key for key in keys() if not key.startswith("_system/")]


def strip(key):
    """Take the signature off, as an object has none that was written before there was a key."""
    held = read(key)
    metadata = {
        name: held["metadata"][name] for name in ("first-seq", "last-seq", "count", "sha256")
    }
    store.patient.put_plain(key, held["raw"], metadata)
    HourObject.objects.update(generation=0)
    for model in (ArchiveKey, ManifestShard, ManifestHour, ManifestNote):
        model.objects.all().delete()
    store.patient.delete(keys(manifests.PREFIX))
    return held


def test_what_is_from_before_the_key_is_signed_by_the_next_backup(people):
    held = {key: strip(key) for key in objects()}
    report = backups.backup()
    assert (report["signed"], report["all_signed"]) == (4, 1)
    assert {key: read(key) for key in held} == held
    assert verify()["ok"]
    lose_database()
    report = restore.restore()
    assert (report["ok"], report["manifests_agree"]) == (True, "yes"), report


def test_what_is_not_what_was_written_is_not_signed(people):
    spoilt, *_ = objects()
    for key in objects():
        strip(key)
    held = read(spoilt)
    forged = gzip.compress(held["plain"].replace(b"text", b"lies"))
    store.patient.put_plain(spoilt, forged, held["metadata"])
    report = backups.backup()
    assert report["signed"] == 3
    assert spoilt in " ".join(report["failures"])
    assert "signature" not in read(spoilt)["metadata"]
    assert ArchiveKey.objects.get().all_signed_at is None
    assert verify(repair=True)["repaired"] == 1
    assert "all_signed" in backups.backup()
    assert all("signature" in read(key)["metadata"] for key in objects())


def test_a_new_key_signs_all_and_the_old_one_can_go(people, settings):
    old = settings.ARCHIVE_KEY
    settings.ARCHIVE_KEY = [NEW, *old]
    before = {key: read(key) for key in objects()}
    assert backups.backup()["signed"] == 4
    for key in objects():
        found = read(key)
        assert found["raw"] == before[key]["raw"]
        assert found["metadata"]["generation"] == "1"
        assert archive_key.key_id_of(found["metadata"]["signature"]) == archive_key.id_of(NEW)
    assert "signed" not in backups.backup(), "once"
    settings.ARCHIVE_KEY = [NEW]
    assert verify()["ok"]
    lose_database()
    restore.restore()
    assert Message.objects.count() == 6


def test_a_lost_key_is_said(people, settings):
    settings.ARCHIVE_KEY = [NEW]
    report = backups.backup()
    assert "a key that ARCHIVE_KEY does not have" in " ".join(report["failures"])
    assert ArchiveKey.objects.get(pk=archive_key.id_of(NEW)).all_signed_at is None


def test_the_command_signs_all_at_once(people, settings):
    ring = f"{NEW},{settings.ARCHIVE_KEY[0]}"
    done = command("archive_key", "--sign", ARCHIVE_KEY=ring)
    assert done.returncode == 0, done.stderr
    assert "signed 4" in done.stdout
    assert "on all objects since" in command("archive_key", ARCHIVE_KEY=ring).stdout
