"""Erase that is asked for in full: a user's texts from all copies too, and after a lost database."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from archive import backup as backups
from archive import drill, erase, export, restore, store, trim, wishes
from archive.models import ErasedUser, Erasure, Export
from archive.runs import Tally
from archive.tests.conftest import keys
from archive.tests.test_restoring import back, wipe
from archive.tests.world import (
    bucket,
    command,
    cut_rows,
    date,
    every,
    in_bucket,
    moment,
    overwrite,
    read,
    talk,
    told,
)
from archive.verify import verify
from common.errors import NotFound
from messaging.models import Chat, Message, TrimmedSend
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _small(settings):
    settings.HOT_MESSAGES_PER_CHAT = 5
    settings.DB_MESSAGES_PER_CHAT = 10


@pytest.fixture
def world():
    """Ada writes to Bob and in a group; Eve has a chat with Bob alone, where Ada says nothing."""
    ada, bob, eve = Person("ada"), Person("bob"), Person("eve")
    private = talk(ada, bob, every(7, 30), prefix="private")
    group_id = bob.group(ada, eve)
    for number in range(12):
        (ada, bob, eve)[number % 3].tell(group_id, f"group {number}")
    date(group_id, every(9, 13))
    other = talk(bob, eve, every(5, 12), prefix="other")
    backups.backup()
    trim.trim()
    return ada, bob, eve, private, group_id, other


def everything() -> str:
    """Return all that anything in the bucket or the database says, as one text."""
    said = [read(key)["plain"].decode() for key in bucket()]
    said += Message.objects.values_list("text", flat=True)
    return "\n".join(said)


def by(person: Person, messages: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {
        (m["kind"], m["text"])
        for m in messages
        if m["sender_id"] == str(person.id) and m["kind"] != "system"
    }


def assert_nothing_of(ada: Person, world: Any) -> None:
    _, bob, eve, private, group_id, other = world
    assert by(ada, told(bob, private)) == {("removed", "")}
    assert by(ada, told(eve, group_id)) == {("removed", "")}
    assert len(told(bob, private)) == 30
    assert {text for _, text in by(bob, told(bob, private))} == {
        f"private {n}" for n in range(2, 31, 2)
    }
    assert len(by(eve, told(bob, other))) == 6
    for person, chat_id in ((bob, private), (bob, group_id), (eve, group_id)):
        assert in_bucket(person, chat_id) == told(person, chat_id)
    assert keys(f"{ada.id}/") == []
    assert verify()["ok"]
    assert "private 1" not in everything().split('"')


def test_a_users_texts_go_from_everybodys_copies_if_asked(world):
    ada, bob, eve, private, group_id, other = world
    before = {(p.id, c): told(p, c) for p, c in ((bob, private), (eve, group_id), (bob, other))}
    untouched = read(next(key for key in keys(f"{bob.id}/") if key.endswith(str(other))))["raw"]
    dry = erase.erase_user(user_id=ada.id, texts=True, dry_run=True)
    assert (dry["chats"], dry["dry_run"]) == (2, True)
    assert dry["objects"] == len(keys(f"{ada.id}/"))
    assert told(bob, private) == before[bob.id, private]
    report = erase.erase_user(user_id=ada.id, texts=True)
    assert report["ok"], report
    assert_nothing_of(ada, world)
    for (person_id, chat_id), lines in before.items():
        person = bob if person_id == bob.id else eve
        for old, new in zip(lines, told(person, chat_id), strict=True):
            if old["sender_id"] != str(ada.id) or old["kind"] == "system":
                assert new == old
            else:
                assert new == old | {"kind": "removed", "text": ""}
    kept = read(next(key for key in keys(f"{bob.id}/") if key.endswith(str(other))))["raw"]
    assert kept == untouched
    assert erase.erase_user(user_id=ada.id, texts=True)["ok"], "again"


def test_what_their_client_ids_stood_for_is_marked_as_removed_some_at_a_time(world, monkeypatch):
    ada, bob, _, private, *_ = world
    TrimmedSend.objects.all().delete()
    TrimmedSend.objects.bulk_create(
        TrimmedSend(chat_id=private, seq=1000 + n, sender_id=person.id, client_id=f"{n % 7}-{n}",
                    sent_at=moment("2026-01-07 03:00:00"), digest=b"x" * 32)
        for n, person in enumerate([ada, bob] * 20)
    )  # fmt: skip
    monkeypatch.setattr(erase, "BATCH", 3)
    with CaptureQueriesContext(connection) as asked:
        erase._erase_rows(Chat.objects.get(pk=private), ada.id)
    changes = [one for one in asked if 'UPDATE "messaging_trimmedsend"' in one["sql"]]
    # Those of before, and what was kept just now of the texts that went.
    assert len(changes) == -(-TrimmedSend.objects.filter(sender=ada.id).count() // 3) > 6
    left = TrimmedSend.objects.filter(removed=False)
    assert set(left.values_list("sender", flat=True)) == {bob.id}
    assert left.count() == 20


def test_it_may_be_asked_for_after_the_account_is_gone(world):
    ada = world[0]
    assert erase.erase_user(user_id=ada.id)["ok"]
    assert {text for _, text in by(ada, told(world[1], world[3]))} != {""}
    assert erase.erase_user(user_id=ada.id, texts=True)["ok"]
    assert_nothing_of(ada, world)


def test_killed_at_every_step_the_next_backup_finishes(world):
    ada = world[0]
    for step in (
        "erase.wished", "erase.user", "erase.announced", "erase.rewritten", "erase.texts",
        "erase.prefix",
    ):  # fmt: skip
        killed = command("erase", "--user", str(ada.id), "--texts", ARCHIVE_DIE_AT=step)
        assert killed.returncode == -9, (step, killed.stderr)
        for person, chat_id, count in ((world[1], world[3], 30), (world[2], world[4], 13)):
            assert len(told(person, chat_id)) == count, step
    report = backups.backup()
    assert report["ok"], report
    assert_nothing_of(ada, world)
    assert ErasedUser.objects.get().done_at


def test_killed_before_the_database_knows_the_next_backup_takes_the_wish_up(world):
    ada, bob, _, private, *_ = world
    for arguments in (("--chat", str(private), "--seq", "4"), ("--user", str(ada.id))):
        assert command("erase", *arguments, ARCHIVE_DIE_AT="erase.wished").returncode == -9
    assert not Erasure.objects.exists()
    assert not ErasedUser.objects.exists()
    assert told(bob, private)[3]["kind"] == "text"
    assert backups.backup()["ok"]
    assert told(bob, private)[3]["kind"] == "removed"
    assert keys(f"{ada.id}/") == []
    assert list(wishes.messages(store.patient)) == []


def test_a_wish_that_is_fulfilled_is_forgotten_in_the_bucket_too(world):
    private = world[3]
    done = ("--chat", str(private), "--seq", "4")
    assert command("erase", *done, ARCHIVE_DIE_AT="erase.done").returncode == -9
    assert list(wishes.messages(store.patient)) == [(private, 4)]
    erase.finish(Tally())
    assert list(wishes.messages(store.patient)) == []


@pytest.mark.parametrize("step", ["erase.wished", "erase.asked", "erase.rewritten"])
def test_a_database_lost_while_a_text_is_erased_brings_it_back_nowhere(world, step):
    ada, bob, _, private, *_ = world
    text = "private 4"
    killed = command("erase", "--chat", str(private), "--seq", "4", ARCHIVE_DIE_AT=step)
    assert killed.returncode == -9
    wipe()
    report = restore.restore()
    assert report["ok"], report
    assert report["erased"] == 1
    assert not Message.objects.filter(text=text).exists()
    assert backups.backup()["ok"]
    for person in (ada, bob):
        back(person)
        fourth = told(person, private)[3]
        assert (fourth["kind"], fourth["text"]) == ("removed", "")
        assert in_bucket(person, private) == told(person, private)
    assert text not in everything().split('"')


def test_copies_of_which_only_some_have_lost_a_text_are_no_contradiction(world):
    private = world[3]
    killed = command(
        "erase", "--chat", str(private), "--seq", "4", ARCHIVE_DIE_AT="erase.rewritten"
    )
    assert killed.returncode == -9
    wishes.forget_message(store.patient, private, 4)
    wipe()
    assert restore.restore()["ok"]
    assert not Message.objects.filter(text="private 4").exists()
    assert backups.backup()["ok"]
    assert "private 4" not in everything().split('"')


def test_a_database_older_than_an_erasure_loses_the_text_with_a_restore(world):
    private = world[3]
    assert erase.erase_message(chat_id=private, seq=4)["ok"]
    restore.restore(chat_id=private)
    Message.objects.filter(chat=private, seq=4).update(kind="text", text="private 4")
    Erasure.objects.all().delete()
    assert restore.restore(chat_id=private)["ok"]
    assert Message.objects.get(chat=private, seq=4).kind == "removed"


@pytest.mark.parametrize("texts", [False, True])
def test_an_erased_user_is_nobody_after_a_restore_either(world, texts):
    ada, bob, _, private, *_ = world
    assert erase.erase_user(user_id=ada.id, texts=texts)["ok"]
    wipe()
    assert restore.restore()["ok"]
    user = User.objects.get(pk=ada.id)
    assert (user.is_active, user.username) == (False, f"erased-{ada.id.hex}")
    assert not user.has_usable_password()
    assert ErasedUser.objects.get().texts is texts
    assert backups.backup(now=True)["ok"]
    assert ErasedUser.objects.get().done_at
    assert keys(f"{ada.id}/") == []
    back(bob)
    assert ("private 1" in {text for _, text in by(ada, told(bob, private))}) is not texts


def test_a_user_whose_database_is_lost_at_any_step_is_erased_after_all(world):
    ada, bob, _, private, *_ = world
    for step in ("erase.wished", "erase.announced#3", "erase.prefix"):
        arguments = ("erase", "--user", str(ada.id), "--texts")
        command(*arguments, ARCHIVE_DIE_AT=step)
        wipe()
        report = restore.restore()
        assert report["ok"], (step, report)
        assert by(ada, [
            {"sender_id": str(m.sender_id), "kind": m.kind, "text": m.text}
            for m in Message.objects.all()
        ]) == {("removed", "")}, step  # fmt: skip
        user = User.objects.get(pk=ada.id)
        assert not user.is_active
    assert backups.backup()["ok"]
    back(bob)
    back(world[2])
    assert by(ada, told(bob, private)) == {("removed", "")}
    assert verify()["ok"]


def test_a_drill_meanwhile_writes_nothing_and_finds_nothing_amiss(world):
    private = world[3]
    killed = command(
        "erase", "--chat", str(private), "--seq", "4", ARCHIVE_DIE_AT="erase.rewritten"
    )
    assert killed.returncode == -9
    before = bucket()
    assert drill.drill()["ok"]
    assert bucket() == before
    assert Erasure.objects.get().done_at is None


def test_a_dry_run_says_how_many_copies_and_changes_nothing(world):
    bob, private = world[1], world[3]
    before = told(bob, private), bucket()
    report = erase.erase_message(chat_id=private, seq=4, dry_run=True)
    assert (report["objects"], report["dry_run"]) == (2, True)
    result = command("erase", "--chat", str(private), "--seq", "4", "--dry-run", "--json")
    assert (result.returncode, json.loads(result.stdout)["objects"]) == (0, 2)
    assert (told(bob, private), bucket()) == before
    assert not Erasure.objects.exists()
    assert list(wishes.messages(store.patient)) == []


def test_a_system_message_stays_where_only_objects_hold_it_too(world):
    ada, _, _, _, group_id, _ = world
    cut_rows(group_id, 13)
    with pytest.raises(NotFound):
        erase.erase_message(chat_id=group_id, seq=1)
    assert told(ada, group_id)[0]["kind"] == "system"


def test_a_damaged_own_copy_hides_no_text_of_theirs(world):
    ada = world[0]
    for key in keys(f"{ada.id}/"):
        overwrite(key, b"rubbish")
    assert erase.erase_user(user_id=ada.id, texts=True)["ok"]
    assert_nothing_of(ada, world)


def test_it_takes_back_exports_with_their_texts(world):
    ada, bob, eve = world[:3]
    for person in (bob, eve):
        found, _ = export.ask_for_export(user_id=person.id)
        from archive import export_making

        assert export_making.make_export(export_id=found.pk) == "ready"
    assert erase.erase_user(user_id=ada.id, texts=True)["ok"]
    assert set(Export.objects.values_list("state", flat=True)) == {"withdrawn"}
    assert [key for key in keys() if key.endswith(".zip")] == []


def test_without_the_bucket_the_account_is_shut_at_once_and_the_rest_follows(world):
    ada, bob = world[:2]
    away = {"S3_ENDPOINT_URL": "http://127.0.0.1:9"}
    assert command("erase", "--user", str(ada.id), "--texts", **away).returncode == 1
    assert not User.objects.get(pk=ada.id).is_active
    assert bob.post("/send_message", recipient_id=str(ada.id), text="hello").status_code in (
        201,
        403,
        404,
    )
    assert backups.backup()["ok"]
    assert keys(f"{ada.id}/") == []
    assert wishes.users(store.patient) == {ada.id: True}


def test_texts_without_a_user_is_wrong_use(world):
    wrong = command("erase", "--chat", str(world[3]), "--seq", "4", "--texts")
    assert wrong.returncode == 2


def test_nobody_erases_by_writing_a_wish_to_the_bucket():
    ada, bob = Person("ada"), Person("bob")
    chat_id = talk(ada, bob, every(7, 5))
    backups.backup()
    for key in (f"messages/{chat_id}/2", f"users/{bob.id}/texts"):
        store.patient.put_plain(f"{wishes.PREFIX}{key}", b"", {})
    backups.backup()
    assert Message.objects.get(chat=chat_id, seq=2).kind == "text"
    assert User.objects.get(pk=bob.id).is_active
    wipe()
    assert restore.restore()["erased"] == 0
    assert User.objects.get(pk=bob.id).is_active
