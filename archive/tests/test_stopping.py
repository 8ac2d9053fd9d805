"""Ctrl-C ends a run at the next hour or batch, not at the end of a long chat."""

import threading

import pytest

from archive import backup as backups
from archive import purge, restore, trim
from archive.models import HourObject, Segment
from archive.runs import Stopped, Tally, side_by_side
from archive.tests.conftest import keys
from archive.tests.test_restoring import state, wipe
from archive.tests.world import every, talk, told
from messaging.models import Chat, Message
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


class Interrupted(Tally):
    """A tally that is told to stop once something of a kind has been counted."""

    after = ""

    def add(self, **more: int) -> None:
        super().add(**more)
        if more.get(self.after):
            self.stopping.set()


@pytest.fixture
def chat(settings):
    settings.HOT_MESSAGES_PER_CHAT = 5
    settings.DB_MESSAGES_PER_CHAT = 10
    ada, bob = Person("ada"), Person("bob")
    return ada, bob, talk(ada, bob, every(20, 40))


def stop(module, after, monkeypatch):
    kind = type("Stopping", (Interrupted,), {"after": after})
    monkeypatch.setattr(module, "Tally", kind)


def test_what_is_under_way_is_told_to_stop():
    tally, begun, ended = Tally(), threading.Event(), []

    def items():
        yield 1
        assert begun.wait(30)
        raise KeyboardInterrupt

    def act(item):
        begun.set()
        assert tally.stopping.wait(30)
        try:
            tally.go_on()
        except Stopped:
            ended.append(item)
            raise

    with pytest.raises(KeyboardInterrupt):
        side_by_side(items(), act, tally, threads=1)
    assert ended == [1]
    assert not tally.failed


def test_a_backup_stops_after_an_hour(chat, monkeypatch):
    _, bob, chat_id = chat
    with monkeypatch.context() as patch:
        stop(backups, "hours", patch)
        backups.backup()
    assert Segment.objects.count() == 1
    assert backups.backup()["hours"] == 13
    assert len(told(bob, chat_id)) == 40


def test_a_trim_stops_after_a_batch(chat, monkeypatch):
    _, bob, chat_id = chat
    backups.backup()
    with monkeypatch.context() as patch:
        stop(trim, "messages", patch)
        assert trim.trim()["messages"] == 3
    assert Chat.objects.get().db_seq == 4
    assert len(told(bob, chat_id)) == 40
    assert trim.trim()["messages"] == 27
    assert len(told(bob, chat_id)) == 40


def test_a_purge_stops_between_deletes(chat, monkeypatch):
    backups.backup()
    trim.trim()
    monkeypatch.setattr(purge, "DELETE_AT_ONCE", 4)
    with monkeypatch.context() as patch:
        stop(purge, "deleted", patch)
        assert purge.purge()["deleted"] == 4
    assert purge.purge()["deleted"] == 24
    assert HourObject.objects.count() == 0
    assert not [key for key in keys() if not key.startswith("_system/")]


def test_a_restore_stops_and_leaves_nothing_of_the_chat(chat, monkeypatch):
    backups.backup()
    before = state()
    wipe()
    with monkeypatch.context() as patch:
        stop(restore, "users", patch)
        assert restore.restore()["messages"] == 0
    assert not Message.objects.exists()
    assert Chat.objects.get().last_seq == 0
    assert restore.restore()["ok"]
    assert state() == before
