"""Restore: from the bucket alone, everything comes back as it was, as often as it is run."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import ProgrammingError, connection, transaction

from accounts.models import Block, Token, User
from archive import backup as backups
from archive import restore, store, trim
from archive.models import HourObject, Segment, Watermark
from archive.runs import reason_of
from archive.tests.conftest import keys
from archive.tests.world import (
    add,
    bucket,
    command,
    date,
    every,
    overwrite,
    read,
    remove,
    talk,
    told,
)
from archive.verify import verify
from common.cache import cache
from common.database import rows
from messaging.models import Chat, LogState, Membership, Message
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


def wipe() -> None:
    """Empty the database as a new one is, and the cache."""
    tables = [
        "archive_hourobject", "archive_segment", "archive_watermark", "messaging_trimmedsend",
        "messaging_message", "messaging_membership", "messaging_chat", "accounts_block",
        "accounts_token", "accounts_user",
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE")
    cache.execute("FLUSHDB")


def back(person: Person) -> None:
    """Give a person a token again, as logging in does."""
    from accounts import services

    token = services._issue(User.objects.get(pk=person.id))
    person.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")


@pytest.fixture
def world(settings):
    settings.HOT_MESSAGES_PER_CHAT = 5
    settings.DB_MESSAGES_PER_CHAT = 10
    ada, bob, eve = Person("ada"), Person("bob"), Person("eve")
    ada.user.set_password("correct horse battery")
    ada.user.save()
    private = talk(ada, bob, every(7, 40))
    group_id = ada.group(bob, name="Böte 🚣")
    add(ada, group_id, eve)
    ada.tell(group_id, 'two\nlines "quoted" | \u2028 😀')
    remove(ada, group_id, eve)
    ada.tell(group_id, "hidden from eve")
    add(ada, group_id, eve)
    ada.post("/set_group_role", group_id=str(group_id), user_id=str(bob.id), role="admin")
    date(group_id, every(11, 7))
    eve.post("/block_user", user_id=str(bob.id))
    backups.backup()
    return ada, bob, eve, private, group_id


def state() -> dict[str, list[Any]]:
    return {
        "users": list(User.objects.order_by("pk").values_list("pk", "username", "password", "display_name")),
        "blocks": list(Block.objects.values_list("blocker", "blocked", "created_at")),
        "chats": list(
            Chat.objects.order_by("pk").values_list(
                "pk", "number", "kind", "name", "low", "high", "member_count", "start_seq", "last_seq", "last_at")
        ),
        "memberships": list(
            Membership.objects.order_by("chat", "first_seq", "user").values_list(
                "chat", "user", "role", "first_seq", "last_seq", "joined_at", "left_at")
        ),
        "messages": list(
            Message.objects.order_by("chat", "seq").values_list(
                "chat", "seq", "sender", "kind", "text", "sent_at", "client_id")
        ),
        "index": list(
            HourObject.objects.order_by("segment__chat", "segment__hour", "user").values_list(
                "segment__chat", "segment__hour", "user", "first_seq", "last_seq", "count", "sha256")
        ),
        "watermarks": list(Watermark.objects.order_by("chat").values_list("chat", "archived_seq")),
    }  # fmt: skip


def test_everything_comes_back_into_an_empty_database(world):
    ada, bob, eve, private, group_id = world
    before, objects = state(), bucket()
    shown = {(p.id, c): told(p, c) for p, c in ((ada, private), (bob, group_id), (eve, group_id))}
    trim.trim()
    ada.poll()
    old_epoch = LogState.objects.get().epoch
    wipe()
    report = restore.restore()
    assert report["ok"], report
    assert report["messages"] == 47
    assert state() == before
    assert LogState.objects.get().epoch == old_epoch + 1
    assert not Token.objects.exists()
    login = ada.post("/login", username="ada", password="correct horse battery")
    assert login.status_code == 200
    for person in (ada, bob, eve):
        back(person)
    for (user_id, chat_id), lines in shown.items():
        person = next(p for p in (ada, bob, eve) if p.id == user_id)
        assert told(person, chat_id) == lines
    assert ada.poll()["reset"] is True
    assert ada.tell(group_id, "goes on").line.seq == 8
    assert bob.post("/send_message", recipient_id=str(eve.id), text="hi").status_code == 403
    assert Message.objects.get(chat=group_id, seq=2).subject_id == eve.id
    assert ada.say(Person("new"), "a new chat").created
    assert bucket() == objects
    assert verify()["ok"]


def test_running_it_again_changes_nothing_but_the_epoch(world):
    wipe()
    restore.restore()
    before = state()
    assert restore.restore()["messages"] == 0
    assert state() == before


def test_a_partly_filled_database_gets_what_it_lacks(world):
    ada, bob, _eve, private, _group_id = world
    before = state()
    trim.trim()
    Message.objects.filter(chat=private, seq__in=(33, 34)).delete()
    report = restore.restore(chat_id=private)
    assert report["ok"]
    assert report["messages"] == 32
    after = state()
    assert after["messages"] == before["messages"]
    assert Chat.objects.get(pk=private).db_seq == 1
    ada.say(bob, "later than the backup")
    assert restore.restore()["messages"] == 0
    assert Message.objects.filter(chat=private).count() == 41


def test_one_user_or_one_chat_brings_only_theirs(world):
    ada, bob, eve, private, group_id = world
    wipe()
    assert restore.restore(user_id=eve.id)["chats"] == 1
    assert set(Chat.objects.values_list("pk", flat=True)) == {group_id}
    wipe()
    assert restore.restore(chat_id=private)["messages"] == 40
    assert set(User.objects.values_list("pk", flat=True)) == {ada.id, bob.id}


def test_a_damaged_copy_is_passed_over_while_another_has_it(world):
    _ada, bob, _eve, _private, _group_id = world
    before = state()
    overwrite(keys(f"{bob.id}/")[0], b"rubbish")
    wipe()
    report = restore.restore()
    assert report["ok"] is False
    assert report["damaged"] == 1
    after = state()
    lost_ids = [
        (a[1], a[6], b[6])
        for a, b in zip(before["messages"], after["messages"], strict=True)
        if a != b
    ]
    assert all(old and new is None for _, old, new in lost_ids), "only his own client_ids"


def test_what_contradicts_is_reported_and_never_guessed(world):
    _ada, _bob, _eve, private, _group_id = world
    Message.objects.filter(chat=private, seq=20).update(text="another")
    report = restore.restore()
    assert report["ok"] is False
    assert "another message 20" in " ".join(report["failures"])
    assert Message.objects.get(chat=private, seq=20).text == "another"


def test_killed_at_every_step(world, tmp_path):
    before = state()
    for name in (
        "restore.users",
        "restore.blocks",
        "restore.chats",
        "restore.chat",
        "restore.inside",
        "restore.after",
        "restore.honoured",
        "restore.epoch",
    ):
        wipe()
        killed = command("restore", "--all", ARCHIVE_DIE_AT=name)
        assert killed.returncode == -9, (name, killed.stderr)
        done = command("restore", "--all", "--json")
        assert done.returncode == 0, (name, done.stdout)
        assert state() == before, name
    assert command("restore").returncode == 2
    assert command("restore", "--chat", "nonsense").returncode == 2


def test_an_empty_bucket_is_no_backup():
    with pytest.raises(restore.NothingToRestore):
        restore.restore()


def test_what_the_bucket_has_nothing_of_is_not_done(world):
    with pytest.raises(restore.NothingToRestore):
        restore.restore(chat_id=uuid4())
    with pytest.raises(restore.NothingToRestore):
        restore.restore(user_id=uuid4())
    done = command("restore", "--chat", str(uuid4()))
    assert done.returncode == 1
    assert done.stderr.endswith("restore: the bucket holds no such thing, or no whole snapshot.\n")


def test_a_database_without_tables_is_told_what_it_needs():
    with pytest.raises(ProgrammingError) as raised, transaction.atomic():
        rows("SELECT FROM of_another_release", ())
    assert reason_of(raised.value).endswith("run migrate first")


def test_a_dry_run_says_what_the_bucket_has_and_writes_nothing(world):
    there = User.objects.count(), Membership.objects.count(), HourObject.objects.count()
    wipe()
    report = restore.restore(dry_run=True)
    assert report["chats"] == 2
    assert (report["users"], report["memberships"], report["objects"]) == there
    assert not User.objects.exists()
    assert not Segment.objects.exists()
    assert read(keys("_system/")[0])["messages"]
    assert store.patient.folders("_system/")
