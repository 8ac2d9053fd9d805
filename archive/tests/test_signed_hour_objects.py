"""Hour objects say who wrote them: what the archive key did not sign is refused, and named."""

import gzip
import hashlib
import logging

import pytest
from django.conf import settings

from archive import backup as backups
from archive import erase, restore, store
from archive.models import HourObject
from archive.tests.conftest import keys
from archive.tests.test_restoring import wipe
from archive.tests.world import cut_rows, every, read, talk
from archive.verify import verify
from common import archive_key
from messaging.models import Message
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "the-next-archive-key-0123456789-abc"


@pytest.fixture
def chat():
    """Ada, Bob and their chat, backed up, of which the database holds the last message alone."""
    ada, bob = Person("ada"), Person("bob")
    chat_id = talk(ada, bob, every(20, 6))
    backups.backup()
    cut_rows(chat_id, 6)
    return ada, bob, chat_id


def put(key, raw, metadata):
    """Put an object there as somebody does who can write to the bucket."""
    store.patient.put_plain(key, raw, metadata)


def forge(key, *, text=b"text 1", instead=b"forged", **changed):
    """Write an object by hand, with a digest that is right; return what lay there."""
    held = read(key)
    plain = held["plain"].replace(text, instead)
    digest = hashlib.sha256(plain).hexdigest()
    put(key, gzip.compress(plain), {**held["metadata"], "sha256": digest, **changed})
    return held


def first_of(person):
    return keys(f"{person.id}/")[0]


def test_one_rewritten_by_hand_is_named_by_all_that_read(chat):
    ada, bob, chat_id = chat
    for person in (ada, bob):
        forge(first_of(person))
    assert ada.client.get(f"/chats/{chat_id}/messages/?before=3").status_code == 503
    assert ada.client.get(f"/archive/2026/007/03/{chat_id}/").status_code == 503
    found = verify()
    assert found["wrong"] == 2
    wipe()
    report = restore.restore()
    said = " ".join(report["failures"])
    assert "its signature is not right" in said
    assert first_of(ada) in said
    assert first_of(bob) in said
    assert not Message.objects.filter(text="forged").exists()


def test_one_without_a_signature_comes_back_only_if_that_is_asked_for(chat):
    ada, bob, _ = chat
    for person in (ada, bob):
        held = forge(first_of(person))
        metadata = dict(held["metadata"])
        metadata["sha256"] = read(first_of(person))["metadata"]["sha256"]
        del metadata["signature"], metadata["generation"]
        put(first_of(person), read(first_of(person))["raw"], metadata)
    wipe()
    assert "it is not signed" in " ".join(restore.restore()["failures"])
    assert not Message.objects.filter(seq=1).exists()
    wipe()
    assert restore.restore(unsigned=True)["ok"]
    assert Message.objects.get(seq=1).text == "forged"


def test_one_that_was_signed_for_another_key_is_refused(chat):
    ada, bob, _ = chat
    held = read(first_of(bob))
    put(first_of(ada), held["raw"], held["metadata"])
    wipe()
    report = restore.restore()
    assert [f"{first_of(ada)}: its signature is not right: passed over"] == report["failures"]
    assert Message.objects.count() == 6, "from the other's copy"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"generation": "2"}, "its signature is not right"),
        ({"generation": "-1"}, "which generation"),
        ({"generation": "x" * 9}, "which generation"),
        ({"signature": "00000000:" + "0" * 64}, "a key that ARCHIVE_KEY does not have"),
        ({"signature": "nothing"}, "a key that ARCHIVE_KEY does not have"),
        ({"count": "7"}, "it is not what its metadata say"),
        ({"first-seq": "2"}, "a line is not message 2"),
    ],
)
def test_what_is_signed_can_not_be_changed(chat, changed, said):
    ada, _, _ = chat
    held = read(first_of(ada))
    put(first_of(ada), held["raw"], {**held["metadata"], **changed})
    (failure,) = verify()["failures"] or [""]
    assert first_of(ada) in failure
    wipe()
    assert said in " ".join(restore.restore()["failures"])


def test_the_version_before_an_erasure_is_refused_where_it_lay(chat, caplog):
    ada, bob, chat_id = chat
    before = {person.id: read(first_of(person)) for person in (ada, bob)}
    erase.erase_message(chat_id=chat_id, seq=1)
    assert read(first_of(ada))["metadata"]["generation"] == "2"
    assert set(HourObject.objects.values_list("generation", flat=True)) == {1, 2}
    for person in (ada, bob):
        put(first_of(person), before[person.id]["raw"], before[person.id]["metadata"])
    with caplog.at_level(logging.ERROR):
        assert ada.client.get(f"/chats/{chat_id}/messages/?before=3").status_code == 503
    assert "it is an older one: generation 1, and 2 was written" in caplog.text
    assert verify()["wrong"] == 2


def test_one_that_gets_more_lines_is_the_next_generation():
    ada, bob = Person("ada"), Person("bob")
    chat_id = talk(ada, bob, every(0.1, 2))
    backups.backup()
    ada.say(bob, "late")
    from archive.tests.world import date, moment

    date(chat_id, [moment("2026-01-07 03:30:00")], first=3)
    backups.backup()
    for person in (ada, bob):
        assert read(first_of(person))["metadata"]["generation"] == "2"
        assert len(read(first_of(person))["messages"]) == 3
    assert verify()["ok"]


def test_a_repair_writes_the_very_same_object():
    ada, bob = Person("ada"), Person("bob")
    talk(ada, bob, every(20, 6))
    backups.backup()
    held = forge(first_of(ada))
    assert verify(repair=True)["repaired"] == 1
    assert read(first_of(ada)) == held


def test_what_an_older_key_signed_is_read_as_long_as_the_ring_has_it(chat, settings):
    ada, _, chat_id = chat
    old = settings.ARCHIVE_KEY
    settings.ARCHIVE_KEY = [NEW, *old]
    assert ada.client.get(f"/chats/{chat_id}/messages/?before=3").status_code == 200
    assert verify()["ok"]
    settings.ARCHIVE_KEY = [NEW]
    assert verify()["wrong"] == len(keys(f"{ada.id}/")) * 2
    wipe()
    # Not even a snapshot is signed with a key that is known.
    with pytest.raises(restore.NothingToRestore):
        restore.restore()
    assert Message.objects.count() == 0


def test_an_object_from_before_the_key_is_read_by_its_digest(chat):
    ada, _, chat_id = chat
    HourObject.objects.update(generation=0)
    for key in keys(f"{ada.id}/"):
        held = read(key)
        metadata = {
            name: value
            for name, value in held["metadata"].items()
            if name not in ("signature", "generation")
        }
        put(key, held["raw"], metadata)
    assert ada.client.get(f"/chats/{chat_id}/messages/?before=3").status_code == 200
    assert verify()["ok"]
    forge(first_of(ada))
    assert verify()["wrong"] == 1


def test_the_key_is_nowhere_in_the_bucket(chat):
    for key in keys():
        found = store.patient.client.get_object(Bucket=settings.S3_BUCKET, Key=key)
        assert archive_key.ring()[0] not in found["Body"].read().decode("latin-1")
        assert archive_key.ring()[0] not in str(found["Metadata"])
