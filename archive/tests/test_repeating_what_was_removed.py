"""A repeated client_id of a removed message: its old text is a 200 and `removed`, another a 409."""

import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest
from django.db import connections

from archive import backup as backups
from archive import erase, restore, trim
from archive.tests.world import every, talk
from common import archive_key
from messaging import kept_sends
from messaging.models import Message, TrimmedSend
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
PINS = [f"{n:04d}" for n in range(10_000)]


@pytest.fixture
def people(settings):
    settings.HOT_MESSAGES_PER_CHAT = 5
    settings.DB_MESSAGES_PER_CHAT = 10
    return Person("ada"), Person("bob")


@pytest.fixture(params=["private", "group"])
def send(request, people):
    """Ada's way of writing to Bob; returns the answer."""
    ada, bob = people
    if request.param == "private":
        return lambda text, client_id: ada.post(
            "/send_message", recipient_id=str(bob.id), text=text, client_id=client_id
        )
    group_id = ada.group(bob)
    return lambda text, client_id: ada.post(
        "/send_message_to_group", group_id=str(group_id), text=text, client_id=client_id
    )


def is_removed(answer, first):
    return (answer.status_code, answer.json()) == (200, first | {"kind": "removed", "text": ""})


def test_in_the_database_the_old_text_is_removed_and_another_a_conflict(send):
    first = send("a secret", "c").json()
    erase.erase_message(chat_id=first["chat_id"], seq=first["seq"])
    assert is_removed(send("a secret", "c"), first)
    for other in ("another", "", "a secret ", "A secret"):
        answer = send(other, "c")
        assert answer.status_code == (409 if other else 400)
    assert send("another", "d").status_code == 201
    # Erased once more, nothing is forgotten.
    erase.erase_message(chat_id=first["chat_id"], seq=first["seq"])
    assert is_removed(send("a secret", "c"), first)
    assert send("another", "c").status_code == 409


@pytest.mark.parametrize("erased_first", [True, False])
def test_after_trim_too_whichever_came_first(people, erased_first):
    ada, bob = people
    chat_id = talk(ada, bob, every(7, 40))

    def send(text):
        return ada.post("/send_message", recipient_id=str(bob.id), text=text, client_id="id 1")

    first = send("text 1").json()
    backups.backup()
    if erased_first:
        erase.erase_message(chat_id=chat_id, seq=1)
        backups.backup()
    trim.trim()
    assert not Message.objects.filter(chat=chat_id, seq=1).exists()
    erase.erase_message(chat_id=chat_id, seq=1)
    assert is_removed(send("text 1"), first)
    assert send("another").status_code == 409
    # Others of the chat are what they were.
    again = ada.post(
        "/send_message", recipient_id=str(bob.id), text="text 3", client_id="id 3"
    ).json()
    assert (again["kind"], again["text"]) == ("text", "text 3")


def test_after_all_of_a_user_s_texts_were_erased(send, people):
    ada, _ = people
    first = send("a secret", "c").json()
    # As `erase --user ID --texts` does it, but the account stays, to ask.
    for chat in erase._chats_of(ada.id):
        erase._erase_rows(chat, ada.id)
    assert is_removed(send("a secret", "c"), first)
    assert send("another", "c").status_code == 409


def test_while_it_is_removed_many_repeat_it(send):
    first = send("a secret", "c").json()
    start = threading.Barrier(9)

    def ask(text):
        start.wait(20)
        try:
            return text, send(text, "c")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(ask, text) for text in ["a secret", "another"] * 4]
        start.wait(20)
        erase.erase_message(chat_id=first["chat_id"], seq=first["seq"])
        answers = [one.result(20) for one in asked]
    for text, answer in answers:
        if text == "another":
            assert answer.status_code == 409
        else:
            assert answer.status_code == 200
            assert answer.json() in (first, first | {"kind": "removed", "text": ""})
    assert is_removed(send("a secret", "c"), first)
    assert Message.objects.filter(chat=first["chat_id"], text="a secret").count() == 0


def test_what_was_removed_before_anything_was_kept_is_removed_whatever_is_sent(send):
    first = send("a secret", "c").json()
    erase.erase_message(chat_id=first["chat_id"], seq=first["seq"])
    TrimmedSend.objects.all().delete()
    # There is nothing to compare with, and no text is given back.
    assert is_removed(send("another", "c"), first)


def test_what_is_kept_tells_nobody_the_text(send):
    first = send("4711", "c").json()
    erase.erase_message(chat_id=first["chat_id"], seq=first["seq"])
    kept = bytes(TrimmedSend.objects.get().digest or b"")
    assert kept not in {sha256(pin.encode()).digest() for pin in PINS}
    assert TrimmedSend.objects.get().key_id == archive_key.current_id()
    # Who has the key as well finds it.
    assert kept in {kept_sends.digest(pin) for pin in PINS}


def test_plain_digests_of_before_come_under_the_key_and_stay_good(send, monkeypatch):
    answers = [send(f"text {n}", f"c {n}").json() for n in range(7)]
    ids = [Message.objects.get(chat=one["chat_id"], seq=one["seq"]) for one in answers]
    TrimmedSend.objects.bulk_create(
        TrimmedSend(
            chat_id=one.chat_id,
            seq=one.seq,
            sender_id=one.sender_id,
            client_id=one.client_id or "",
            sent_at=one.sent_at,
            digest=sha256(one.text.encode()).digest(),
        )
        for one in ids
    )
    Message.objects.filter(pk__in=[one.pk for one in ids]).delete()
    assert send("text 0", "c 0").json() == answers[0]
    assert send("text 1", "c 0").status_code == 409
    monkeypatch.setattr(kept_sends, "BATCH", 3)
    assert kept_sends.add_keys() == 7
    assert kept_sends.add_keys() == 0
    assert not TrimmedSend.objects.filter(key_id="").exists()
    for n, first in enumerate(answers):
        assert send(f"text {n}", f"c {n}").json() == first
        assert send("another", f"c {n}").status_code == 409


def test_it_stays_good_under_a_new_key_while_the_ring_has_the_old_one(send, settings):
    first = send("a secret", "c").json()
    erase.erase_message(chat_id=first["chat_id"], seq=first["seq"])
    old = settings.ARCHIVE_KEY
    settings.ARCHIVE_KEY = ["another-key-of-the-ring-" * 2, *old]
    assert is_removed(send("a secret", "c"), first)
    assert send("another", "c").status_code == 409
    # Without it nobody can say that the text is the same.
    settings.ARCHIVE_KEY = settings.ARCHIVE_KEY[:1]
    assert send("a secret", "c").status_code == 409


def test_a_restore_keeps_what_is_known_of_what_was_removed(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(7, 40))
    backups.backup()
    first = ada.post(
        "/send_message", recipient_id=str(bob.id), text="text 1", client_id="id 1"
    ).json()
    erase.erase_message(chat_id=chat_id, seq=1)
    backups.backup()
    assert restore.restore(chat_id=chat_id)["ok"]

    def send(text):
        return ada.post("/send_message", recipient_id=str(bob.id), text=text, client_id="id 1")

    assert is_removed(send("text 1"), first)
    assert send("another").status_code == 409
