"""Manifests: a restore from the bucket alone knows which writing of an object is the current one."""

import pytest

from archive import backup as backups
from archive import erase, ledger, manifests, restore, signed_objects, store
from archive.models import HourObject, ManifestHour, ManifestNote, ManifestShard
from archive.tests.conftest import keys
from archive.tests.test_restoring import wipe
from archive.tests.world import command, date, every, moment, read, talk
from messaging.models import Message
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def chat():
    ada, bob = Person("ada"), Person("bob")
    chat_id = talk(ada, bob, every(20, 6))
    backups.backup()
    return ada, bob, chat_id


def put_back(key, held):
    """Put an object there that lay there before, as somebody does who can write to the bucket."""
    store.patient.put_plain(key, held["raw"], held["metadata"])


def said(shard, number, *, base=False):
    key = manifests.key_of_manifest(shard, number, base=base)
    return list(signed_objects.read_lines(store.patient, key))


def shard_of(chat_id):
    return int(str(chat_id)[-1], 16)


def totals():
    """Return what the index itself makes the totals be."""
    before = sorted(ManifestHour.objects.values_list("shard", "hour", "count", "digest"))
    manifests._count_anew()
    after = sorted(ManifestHour.objects.values_list("shard", "hour", "count", "digest"))
    return [
        [(shard, hour, count, bytes(digest)) for shard, hour, count, digest in found]
        for found in (before, after)
    ]


def lose_database():
    """Empty the database, as one that was lost and migrated anew."""
    wipe()
    for model in (ManifestShard, ManifestNote, ManifestHour):
        model.objects.all().delete()


def test_each_run_leaves_one_of_each_part_and_the_first_a_base(chat):
    _, _, chat_id = chat
    backups.backup()
    for shard in range(16):
        names = [key.rpartition("/")[2] for key in keys(manifests.folder(shard))]
        assert names == ["0000000001", "0000000001-base", "0000000002"]
    first = said(shard_of(chat_id), 1)
    assert first[0]["shard"] == str(chat_id)[-1]
    assert [(line["hour"], line["count"]) for line in first[1:]] == [
        ("2026/007/03", 2),
        ("2026/007/04", 2),
    ]
    assert said(shard_of(chat_id), 2)[1:] == [], "nothing was written in the second run"
    assert not ManifestNote.objects.exists()


def test_the_version_before_an_erasure_does_not_come_back_from_the_bucket_alone(chat):
    ada, bob, chat_id = chat
    before = {key: read(key) for key in keys(f"{ada.id}/") + keys(f"{bob.id}/")}
    erase.erase_message(chat_id=chat_id, seq=1)
    backups.backup()
    (named, *_) = [line for line in said(shard_of(chat_id), 2) if "key" in line]
    assert named["generation"] == 2
    for key, held in before.items():
        put_back(key, held)
    lose_database()
    report = restore.restore()
    assert "it is an older one: generation 1, and 2 was written" in " ".join(report["failures"])
    assert not Message.objects.filter(text="text 1").exists()


def test_the_same_is_known_by_a_later_base_alone(chat):
    ada, bob, chat_id = chat
    before = {key: read(key) for key in keys(f"{ada.id}/") + keys(f"{bob.id}/")}
    erase.erase_message(chat_id=chat_id, seq=1)
    ManifestShard.objects.update(base_at=None)
    backups.backup()
    for shard in range(16):
        store.patient.delete([manifests.key_of_manifest(shard, number) for number in (1, 2)])
    for key, held in before.items():
        put_back(key, held)
    lose_database()
    assert "an older one" in " ".join(restore.restore()["failures"])
    assert not Message.objects.filter(text="text 1").exists()


def test_all_is_well_where_nothing_was_touched(chat):
    _, _, chat_id = chat
    erase.erase_message(chat_id=chat_id, seq=1)
    backups.backup()
    lose_database()
    report = restore.restore()
    assert report["ok"], report
    assert report["manifests_agree"] == "yes"
    assert report["manifests_until"] > "2026"


def test_an_object_that_is_lost_or_too_many_is_counted(chat):
    ada, _, _ = chat
    store.patient.delete(keys(f"{ada.id}/")[:1])
    lose_database()
    report = restore.restore()
    assert report["manifests_agree"].startswith("no, in 1 places: 2026/007/03 shard ")
    assert "2 were written, 1 are there" in report["manifests_agree"]


def test_what_was_deleted_with_a_user_does_not_come_back(chat):
    _, bob, _ = chat
    before = {key: read(key) for key in keys(f"{bob.id}/")}
    erase.erase_user(user_id=bob.id)
    backups.backup()
    for key, held in before.items():
        put_back(key, held)
    lose_database()
    said = " ".join(restore.restore()["failures"])
    assert "its user's archive was deleted" in said


@pytest.mark.parametrize("which", ["last", "between", "forged"])
def test_a_manifest_that_lacks_is_named(chat, which):
    backups.backup()
    backups.backup()
    key = manifests.key_of_manifest(5, 3 if which == "last" else 2)
    held = read(key)
    store.patient.delete([key])
    if which == "forged":
        other = read(manifests.key_of_manifest(6, 2))
        put_back(key, other)
    lose_database()
    report = restore.restore()
    assert not report["ok"]
    assert key in " ".join(report["failures"])
    assert Message.objects.count() == 6, "what is signed comes back all the same"
    put_back(key, held)
    lose_database()
    assert restore.restore()["ok"]


@pytest.mark.parametrize(
    "at",
    ["manifest.assigned", "manifest.put", "manifest.inside", "manifest.after", "manifest.base"],
)
def test_a_run_that_is_killed_leaves_no_gap(at):
    ada, bob = Person("ada"), Person("bob")
    chat_id = talk(ada, bob, every(20, 6))
    assert command("backup", ARCHIVE_DIE_AT=at).returncode == -9
    ada.say(bob, "later")
    date(chat_id, [moment("2026-01-07 05:30:00")], first=7)
    backups.backup()
    for shard in range(16):
        found = [manifests.number_of(key) for key in keys(manifests.folder(shard))]
        numbers = [one[0] for one in found if one is not None and not one[1]]
        assert numbers == list(range(1, len(numbers) + 1))
    before, after = totals()
    assert before == after
    assert sum(count for _, _, count, _ in after) == HourObject.objects.count() == 6
    lose_database()
    report = restore.restore()
    assert (report["ok"], report["manifests_agree"]) == (True, "yes"), report


def test_a_database_that_is_behind_the_bucket_goes_on_after_the_buckets_numbers(chat):
    backups.backup()
    held = {key: read(key)["raw"] for key in keys(manifests.PREFIX)}
    ManifestShard.objects.update(number=1)
    backups.backup()
    assert set(ManifestShard.objects.values_list("number", flat=True)) == {3}
    assert {key: read(key)["raw"] for key in held} == held, "nothing was written over"


def test_after_a_restore_the_numbers_go_on_and_the_index_is_counted_anew(chat):
    lose_database()
    restore.restore()
    backups.backup()
    assert set(ManifestShard.objects.values_list("number", flat=True)) == {2}
    before, after = totals()
    assert before == after
    lose_database()
    assert restore.restore()["manifests_agree"] == "yes"


def test_old_manifests_go_before_the_eighth_base_from_the_end(chat):
    for _ in range(9):
        ManifestShard.objects.update(base_at=None)
        backups.backup()
    assert manifests.purge(store.patient) == 16 * 4
    assert ledger.read(store.patient).lacking == []
    assert manifests.newest(store.patient, 0) == 10


def test_the_newest_right_base_is_read_and_an_older_one_where_it_is_spoilt(chat):
    ManifestShard.objects.update(base_at=None)
    backups.backup()
    whole = ledger.read(store.patient)
    store.patient.put_plain(manifests.key_of_manifest(3, 2, base=True), b"", {})
    found = ledger.read(store.patient)
    assert (found.totals, found.numbers) == (whole.totals, whole.numbers)
    assert len(found.lacking) == 1


def test_an_hours_manifests_are_small_however_much_it_wrote(chat):
    """400,000 objects: a line for each would be 27 MB."""
    hour = moment("2026-01-08 03:00:00")
    notes = (
        ManifestNote(
            shard=number % 16, hour=hour, count=20, digest=number.to_bytes(32, "big"), named=[]
        )
        for number in range(20_000)
    )
    ManifestNote.objects.bulk_create(notes, batch_size=5000)
    before = set(keys(manifests.PREFIX))
    manifests.write(store.patient, moment("2026-01-08 04:00:00"))
    written = [read(key)["raw"] for key in keys(manifests.PREFIX) if key not in before]
    assert sum(len(raw) for raw in written) < 16 * 1024
    found = ledger.read(store.patient).totals
    assert sum(count for (_, name), (count, _) in found.items() if name == "2026/008/03") == 400_000
