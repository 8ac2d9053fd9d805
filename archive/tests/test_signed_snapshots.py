"""A snapshot brings back whom the archive key vouches for: a superuser made in the bucket is none."""

import gzip
import hashlib

import orjson
import pytest
from django.contrib.auth.models import Group
from django_otp.oath import TOTP

from accounts.models import PhoneDevice, User
from archive import backup as backups
from archive import restore, signed_objects, snapshot, store
from archive.tests.conftest import keys
from archive.tests.test_restoring import wipe
from archive.tests.world import every, read, talk
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "the-next-archive-key-0123456789-abc"


@pytest.fixture
def people():
    ada, bob = Person("ada"), Person("bob")
    talk(ada, bob, every(20, 6))
    backups.backup()
    return ada, bob


def key_of(name):
    return next(key for key in keys("_system/2") if key.rpartition("/")[2].startswith(name))


def newest() -> int:
    """Return the hour of the newest snapshot."""
    hour = snapshot.newest(store.patient)
    assert hour is not None
    return hour


def forge_superuser():
    """Give Ada all rights in the snapshot, with digests that are right throughout."""
    key = key_of("users")
    held = read(key)
    lines = [{**line, "is_superuser": True, "is_staff": True} for line in held["messages"]]
    plain = b"".join(orjson.dumps(line) + b"\n" for line in lines)
    digest = hashlib.sha256(plain).hexdigest()
    store.patient.put_plain(key, gzip.compress(plain), {**held["metadata"], "sha256": digest})
    manifest = read(key_of("manifest"))
    changed = manifest["plain"].replace(held["metadata"]["sha256"].encode(), digest.encode())
    store.patient.put_plain(
        key_of("manifest"),
        gzip.compress(changed),
        {**manifest["metadata"], "sha256": hashlib.sha256(changed).hexdigest()},
    )


def test_a_forged_superuser_does_not_come_back(people):
    forge_superuser()
    wipe()
    with pytest.raises(restore.NothingToRestore):
        restore.restore()
    assert not User.objects.exists()


def test_the_one_before_is_taken_instead(people, settings):
    before = newest()
    snapshot.write(store.patient, before + 1, again=True)
    assert snapshot.newest(store.patient) == before + 1
    newer = snapshot.folder(before + 1)
    held = read(f"{newer}manifest")
    store.patient.put_plain(f"{newer}manifest", gzip.compress(b"{}\n"), held["metadata"])
    assert snapshot.newest(store.patient) == before


def test_what_is_not_signed_is_taken_only_where_that_is_asked_for(people):
    forge_superuser()
    for name in ("users", "manifest"):
        held = read(key_of(name))
        metadata = {name: held["metadata"][name] for name in ("count", "sha256", "version")}
        store.patient.put_plain(key_of(name), held["raw"], metadata)
    wipe()
    with pytest.raises(restore.NothingToRestore):
        restore.restore()
    assert restore.restore(unsigned=True)["users"] == 2
    assert User.objects.filter(is_superuser=True).count() == 2


def test_an_object_of_another_hour_is_none_of_this_one(people):
    hour = newest()
    ada, _ = people
    User.objects.filter(pk=ada.id).update(is_superuser=True)
    snapshot.write(store.patient, hour + 1, again=True)
    held = read(snapshot.folder(hour) + "users")
    store.patient.put_plain(snapshot.folder(hour + 1) + "users", held["raw"], held["metadata"])
    assert snapshot.newest(store.patient) == hour


def test_without_the_key_nothing_comes_back(people, settings):
    old = settings.ARCHIVE_KEY
    settings.ARCHIVE_KEY = [NEW]
    wipe()
    with pytest.raises(restore.NothingToRestore):
        restore.restore()
    settings.ARCHIVE_KEY = [NEW, *old]
    assert restore.restore()["users"] == 2


def test_lines_are_read_to_their_end_before_they_are_believed(people):
    key = key_of("users")
    sha256 = read(key)["metadata"]["sha256"]
    signed_objects.check(store.patient, key, sha256)
    assert len(list(signed_objects.read_lines(store.patient, key, sha256=sha256))) == 2


def test_roles_and_second_factors_come_back_and_no_secret_stands_there_in_plain(people):
    ada, bob = people
    role = Group.objects.order_by("pk").first() or Group.objects.create(name="Moderators")
    User.objects.filter(pk=ada.id).update(is_staff=True)
    ada.user.groups.add(role)
    device = PhoneDevice.objects.create(user=ada.user, name="phone", confirmed=True)
    PhoneDevice.objects.create(user=bob.user, name="phone", confirmed=False)
    secret = device.bin_key
    backups.backup()
    plain = read(key_of("users"))["plain"]
    assert secret.hex().encode() not in plain
    wipe()
    assert not PhoneDevice.objects.exists()
    assert restore.restore()["users"] == 2
    back = User.objects.get(pk=ada.id)
    assert list(back.groups.all()) == [role]
    found = PhoneDevice.objects.get()
    assert (found.user_id, found.bin_key) == (ada.id, secret)
    assert found.verify_token(TOTP(secret).token())
    assert restore.restore()["users"] == 0, "again changes nothing"
    assert PhoneDevice.objects.count() == 1
