"""What is sent is in the chat once, however often it had to be sent."""

import pytest

from conftest import cut_off
from strata_client import Client, MemoryStore, Refused, SQLiteStore, Unavailable


def texts(client, chat_id):
    return [message.text for message in client.history(chat_id)]


def test_it_works(somebody):
    ann, ben = somebody("ann"), somebody("ben")
    sent = ann.send_message(ben.me().user_id, "hello")
    assert sent.created
    assert sent.message.client_id
    assert texts(ben, sent.message.chat_id) == ["hello"]
    assert ann.store.outbox() == []


def test_a_send_whose_answer_is_lost_is_repeated_and_made_once(somebody, url):
    ann, ben = somebody("ann"), somebody("ben")
    with cut_off(url, answers=2) as bad, Client(bad, ann.token) as client:
        sent = client.send_message(ben.me().user_id, "hello")
    assert not sent.created
    assert texts(ben, sent.message.chat_id) == ["hello"]


def test_what_is_left_in_the_outbox_is_sent_by_the_next_process(somebody, url, file):
    ann, ben = somebody("ann"), somebody("ben")
    store = SQLiteStore(file)
    with cut_off(url, answers=1) as bad:
        client = Client(bad, ann.token, store=store, patience=0)
        with pytest.raises(Unavailable):
            client.send_message(ben.me().user_id, "hello")
    with pytest.raises(Unavailable):
        Client("http://127.0.0.1:9", ann.token, store=store, patience=0).send_message(
            ben.me().user_id, "never arrived"
        )
    store.close()

    again = SQLiteStore(file)
    assert [outgoing.text for outgoing in again.outbox()] == ["hello", "never arrived"]
    results = Client(url, ann.token, store=again).flush()
    assert [result.created for result in results] == [False, True]
    assert again.outbox() == []
    assert texts(ben, results[0].message.chat_id) == ["never arrived", "hello"]
    again.close()


def test_a_refusal_says_why_and_leaves_nothing_behind(somebody):
    ann, ben = somebody("ann"), somebody("ben")
    ben.block_user(ann.me().user_id)
    with pytest.raises(Refused) as refused:
        ann.send_message(ben.me().user_id, "hello")
    assert (refused.value.status, refused.value.code) == (403, "blocked")
    assert ann.store.outbox() == []


def test_a_token_that_is_revoked_keeps_the_text_for_later(somebody, url):
    ann, ben = somebody("ann"), somebody("ben")
    store = MemoryStore()
    with pytest.raises(Refused) as refused:
        Client(url, "no-token", store=store).send_message(ben.me().user_id, "hello")
    assert refused.value.status == 401
    [sent] = Client(url, ann.token, store=store).flush()
    assert sent.message.text == "hello"


def test_flush_goes_on_past_a_refusal(somebody):
    ann, ben, cid = somebody("ann"), somebody("ben"), somebody("cid")
    away = Client("http://127.0.0.1:9", ann.token, store=ann.store, patience=0)
    for recipient in (ben, cid):
        with pytest.raises(Unavailable):
            away.send_message(recipient.me().user_id, "hello")
    ben.block_user(ann.me().user_id)
    refused, sent = ann.flush()
    assert isinstance(refused, Refused)
    assert sent.created


def test_a_group_is_not_created_twice_for_an_answer_that_was_lost(somebody, url):
    ann = somebody("ann")
    with cut_off(url, answers=1) as bad, Client(bad, ann.token) as client:
        with pytest.raises(Unavailable):
            client.create_group("circle")
    assert [group.name for group in ann.groups()] == ["circle"]
