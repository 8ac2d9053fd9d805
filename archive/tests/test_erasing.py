"""Erase: a text out of all tiers and all copies, a user out of everything but others' copies."""

import pytest

from accounts.models import User
from archive import backup as backups
from archive import erase, restore, store, trim
from archive.models import ErasedUser, Erasure
from archive.tests.conftest import keys
from archive.tests.world import bucket, command, every, in_bucket, overwrite, read, talk, told
from archive.verify import verify
from common.cache import cache
from common.errors import NotFound
from messaging.models import Message
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "text 5"


@pytest.fixture
def chat(settings):
    settings.HOT_MESSAGES_PER_CHAT = 5
    settings.DB_MESSAGES_PER_CHAT = 10
    ada, bob = Person("ada"), Person("bob")
    return ada, bob, talk(ada, bob, every(3, 30))


def in_the_cache() -> bool:
    found = [key for key in cache.execute("KEYS", "*") if cache.execute("TYPE", key) != b"hash"]
    dumped = [cache.execute("GET", key) for key in found if key.startswith(b"a:")]
    listed = [
        line
        for key in found
        if key.startswith(b"m:")
        for line in cache.execute("LRANGE", key, 0, -1)
    ]
    return any(f'"{SECRET}"'.encode() in value for value in (*dumped, *listed) if value)


def assert_gone(ada: Person, bob: Person, chat_id) -> None:
    for person in (ada, bob):
        lines = told(person, chat_id)
        assert [m["seq"] for m in lines] == list(range(1, 31))
        assert (lines[4]["kind"], lines[4]["text"]) == ("removed", "")
        assert lines == in_bucket(person, chat_id)
    assert not any(m["text"] == SECRET for key in bucket() for m in read(key)["messages"])
    assert not Message.objects.filter(text=SECRET).exists()
    assert not in_the_cache()
    assert verify()["ok"]


@pytest.mark.parametrize("trimmed", [False, True])
def test_a_text_goes_from_all_tiers_and_copies(chat, trimmed):
    ada, bob, chat_id = chat
    backups.backup()
    if trimmed:
        trim.trim()
    told(ada, chat_id)
    told(bob, chat_id)
    report = erase.erase_message(chat_id=chat_id, seq=5)
    assert report["ok"]
    assert report["objects"] == 2
    assert_gone(ada, bob, chat_id)
    again = ada.post("/send_message", recipient_id=str(bob.id), text=SECRET, client_id="id 5")
    assert (again.status_code, again.json()["seq"]) == (200, 5)
    assert (again.json()["kind"], again.json()["text"]) == ("removed", "")


def test_a_text_that_is_not_in_cold_storage_yet_never_gets_there(chat):
    ada, bob, chat_id = chat
    erase.erase_message(chat_id=chat_id, seq=5)
    backups.backup()
    assert_gone(ada, bob, chat_id)


def test_killed_at_every_step_the_next_backup_finishes(chat):
    ada, bob, chat_id = chat
    backups.backup()
    trim.trim()
    steps = ["erase.asked.inside", "erase.asked", "erase.announced", "put.before", "put.after",
             "erase.rewritten", "erase.announced#2", "erase.done"]  # fmt: skip
    for name in steps:
        killed = command("erase", "--chat", str(chat_id), "--seq", "5", ARCHIVE_DIE_AT=name)
        assert killed.returncode in (-9, 0), (name, killed.stderr)
        for person in (ada, bob):
            assert len(told(person, chat_id)) == 30, name
    assert backups.backup()["ok"]
    assert not Erasure.objects.filter(done_at=None).exists()
    assert_gone(ada, bob, chat_id)


def test_without_the_bucket_it_is_gone_here_at_once_and_there_with_the_next_backup(chat):
    ada, bob, chat_id = chat
    backups.backup()
    away = {"S3_ENDPOINT_URL": "http://127.0.0.1:9"}
    assert command("erase", "--chat", str(chat_id), "--seq", "5", **away).returncode == 1
    assert told(bob, chat_id)[4]["kind"] == "removed"
    assert backups.backup()["erased"] == 1
    assert_gone(ada, bob, chat_id)


def test_what_is_no_text_is_refused(chat):
    ada, _, chat_id = chat
    group_id = ada.group()
    for wrong in ((chat_id, 31), (group_id, 1), (ada.id, 1)):
        with pytest.raises(NotFound):
            erase.erase_message(chat_id=wrong[0], seq=wrong[1])
    assert command("erase", "--chat", str(chat_id)).returncode == 2


def test_an_erased_user_is_nobody_and_others_keep_their_copies(chat):
    ada, bob, chat_id = chat
    backups.backup()
    shown = told(ada, chat_id)
    report = erase.erase_user(user_id=bob.id)
    assert report["ok"]
    assert report["objects"] == 2
    assert keys(f"{bob.id}/") == []
    user = User.objects.get(pk=bob.id)
    assert (user.is_active, "bob" in user.username, user.display_name) == (
        False,
        False,
        "Erased user",
    )
    assert ErasedUser.objects.get().done_at
    assert told(ada, chat_id) == shown
    ada.say(bob, "nobody reads this")
    backups.backup(now=True)
    assert keys(f"{bob.id}/") == []
    trim.trim()
    assert verify()["ok"]
    assert restore.restore()["ok"]


def of_message_5(person: Person, chat_id) -> str:
    return next(
        key
        for key in bucket()
        if key.startswith(f"{person.id}/") and any(m["seq"] == 5 for m in read(key)["messages"])
    )


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("damage", ["lost", "rubbish"])
def test_a_bad_copy_of_a_trimmed_hour_is_written_again_from_a_good_one(chat, damage, first):
    ada, bob, chat_id = chat
    backups.backup()
    trim.trim()
    key = of_message_5(sorted((ada, bob), key=lambda one: one.id)[not first], chat_id)
    if damage == "lost":
        store.patient.delete([key])
    else:
        overwrite(key, b"rubbish")
    report = erase.erase_message(chat_id=chat_id, seq=5)
    assert (report["ok"], report["objects"]) == (True, 2), report
    assert Erasure.objects.get().unreached == ""
    assert_gone(ada, bob, chat_id)


def test_what_nobody_has_a_good_copy_of_is_named_and_the_erasure_is_done(chat):
    ada, bob, chat_id = chat
    backups.backup()
    trim.trim()
    lost, damaged = of_message_5(ada, chat_id), of_message_5(bob, chat_id)
    store.patient.delete([lost])
    overwrite(damaged, b"rubbish")
    report = erase.erase_message(chat_id=chat_id, seq=5)
    assert (report["ok"], report["unreached"], report["objects"]) == (True, 2, 0), report
    erasure = Erasure.objects.get()
    assert erasure.done_at
    assert set(erasure.unreached.split("\n")) == {lost, damaged}
    assert verify()["wrong"] == 2
    assert "erased" not in backups.backup()
