"""Restore beside a service that serves: nobody can write where messages are still to come back."""

import pytest
from django.db.models import F

from accounts.models import User
from archive import backup as backups
from archive import purge, restore, trim
from archive.tests.test_restoring import back, wipe
from archive.tests.world import command, every, talk, told
from messaging.models import Chat, Message
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pair(settings):
    settings.HOT_MESSAGES_PER_CHAT = 5
    settings.DB_MESSAGES_PER_CHAT = 10
    ada, bob = Person("ada"), Person("bob")
    chat_id = talk(ada, bob, every(7, 40))
    backups.backup()
    return ada, bob, chat_id, told(bob, chat_id)


@pytest.mark.parametrize("step", ["users", "blocks", "chats", "chat", "inside", "after", "epoch"])
def test_what_is_sent_before_all_is_back_takes_no_ones_place(pair, step):
    ada, bob, chat_id, before = pair
    wipe()
    command("restore", "--all", ARCHIVE_DIE_AT=f"restore.{step}")
    answers = []
    if User.objects.filter(pk=ada.id).exists():
        back(ada)
        answers = [
            ada.post("/send_message", recipient_id=str(bob.id), text="early", client_id="early")
            for _ in range(2)
        ]
    assert restore.restore()["ok"]
    back(ada)
    back(bob)
    sent = [answer.json() for answer in answers if answer.status_code == 201]
    for answer in answers:
        if answer.status_code == 503:
            assert answer.json()["errors"][0]["code"] == "chat_returning"
            assert int(answer["Retry-After"]) >= 1
        else:
            assert answer.status_code in {200, 201}
    assert [each["seq"] for each in sent] == [41] * len(sent)
    assert told(bob, chat_id) == before + [{**each, "client_id": None} for each in sent]
    late = ada.post("/send_message", recipient_id=str(bob.id), text="late")
    assert late.json()["seq"] == 41 + len(sent)
    assert Chat.objects.count() == 1


def test_a_chat_of_which_nothing_is_left_goes_on_where_it_was(pair, settings):
    ada, bob, chat_id, _ = pair
    trim.trim()
    settings.ARCHIVE_RETENTION_DAYS = 1
    purge.purge()
    backups.backup()
    wipe()
    assert restore.restore()["messages"] == 0
    back(ada)
    back(bob)
    assert Chat.objects.get().last_seq == 40
    assert told(bob, chat_id) == []
    bob.poll()
    assert ada.say(bob, "again")
    assert [m["seq"] for m in told(bob, chat_id)] == [41]
    assert bob.drain() == ["again"]
    shown = bob.client.get(f"/chats/{chat_id}/").json()
    assert (shown["start"], shown["end"]) == (41, 41)
    backups.backup(now=True)
    assert not Message.objects.exclude(seq=41).exists()
    assert Chat.objects.filter(start_seq=F("last_seq"), db_seq=41).exists()
