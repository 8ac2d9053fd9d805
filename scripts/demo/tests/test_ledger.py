"""The demo's judge: it must see every fault that a server could make."""

import pytest

from scripts.demo import corpus
from scripts.demo.ledger import Inbox, Ledger


def message(seq, text="hello", sender="ann", client_id=None, kind="text"):
    return {
        "chat_id": "c",
        "seq": seq,
        "sender_id": sender,
        "kind": kind,
        "text": text,
        "sent_at": f"2026-11-24T00:00:00.{seq:06d}Z",
        "client_id": client_id,
    }


def answer(*messages, reset=False):
    chats = [{"chat_id": "c", "messages": list(messages)}] if messages else []
    return {"chats": chats, "cursor": "x", "has_more": False, "reset": reset}


@pytest.fixture
def ledger():
    ledger = Ledger()
    for seq in (1, 2, 3):
        sent = message(seq, client_id=f"id-{seq}")
        ledger.acknowledge(sent, sender_id="ann", text="hello", client_id=f"id-{seq}")
    return ledger


@pytest.fixture
def bob(ledger):
    return Inbox("bob", "token", ledger, chats={"c"})


def test_it_works(ledger, bob):
    bob.take(answer(message(1), message(2)))
    assert not bob.complete()
    bob.take(answer(message(3)))
    bob.compare()
    assert bob.complete()
    assert not ledger.faults


def test_the_sender_sees_the_client_id(ledger):
    ann = Inbox("ann", "token", ledger, chats={"c"})
    ann.take(answer(*(message(seq, client_id=f"id-{seq}") for seq in (1, 2, 3))))
    ann.compare()
    assert not ledger.faults


@pytest.mark.parametrize(
    ("received", "fault"),
    [
        ([message(1), message(3)], "missing"),
        ([], "missing"),
        ([message(1), message(2), message(2), message(3)], "doubled"),
        ([message(1), message(3), message(2)], "out of order"),
        ([message(1), message(2), message(3, text="hallo")], "altered"),
        ([message(1), message(2), message(3, client_id="id-3")], "altered"),
        ([message(1), message(2), message(3), message(4)], "doubled"),
    ],
)
def test_it_finds_a_fault(ledger, bob, received, fault):
    bob.take(answer(*received))
    bob.compare()
    assert ledger.faults[fault] > 0


def test_it_finds_a_client_id_that_was_sent_twice(ledger):
    again = message(4, client_id="id-1")
    ledger.acknowledge(again, sender_id="ann", text="hello", client_id="id-1")
    assert ledger.faults["doubled"] == 1


def test_it_finds_an_answer_with_another_text(ledger):
    sent = message(4, text="hallo", client_id="id-4")
    ledger.acknowledge(sent, sender_id="ann", text="hello", client_id="id-4")
    assert ledger.faults["altered"] == 1


def test_it_finds_an_inbox_that_was_set_back(ledger, bob):
    bob.take(answer(reset=True))
    assert ledger.faults["altered"] == 1


def test_the_dialogs_are_of_every_language_and_texts_alone():
    languages = corpus.languages()
    dialogs = corpus.choose(languages, 300)
    assert {dialog.language for dialog in dialogs} == set(languages)
    assert all(line for dialog in dialogs for line in dialog.lines)
    assert 300 <= sum(len(dialog.lines) for dialog in dialogs) < 330
