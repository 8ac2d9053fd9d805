"""What `messages()` yields: everything, once, in order, whatever dies on either side."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from strata_client import Client, MemoryStore, SQLiteStore, Unavailable

CONSUMER = Path(__file__).parent / "consumer.py"


def test_it_works(somebody):
    ann, ben = somebody("ann"), somebody("ben")
    assert list(ben.messages(follow=False)) == []
    texts = [f"text {n}" for n in range(25)]
    for text in texts:
        ann.send_message(ben.me().user_id, text)
    got = list(ben.messages(follow=False, limit=4))
    assert [message.text for message in got] == texts
    assert [message.seq for message in got] == list(range(1, 26))
    assert list(ben.messages(follow=False)) == []


def test_what_was_not_handled_comes_again_and_nothing_else(somebody):
    ann, ben = somebody("ann"), somebody("ben")
    assert list(ben.messages(follow=False)) == []
    for n in range(6):
        ann.send_message(ben.me().user_id, str(n))
    inbox = ben.messages(follow=False)
    # The second one is in hand, not handled, when its reader gives up.
    assert [next(inbox).text, next(inbox).text] == ["0", "1"]
    inbox.close()
    assert [message.text for message in ben.messages(follow=False)] == ["1", "2", "3", "4", "5"]


def test_a_poll_that_is_not_acknowledged_is_answered_again(somebody):
    ann, ben = somebody("ann"), somebody("ben")
    ben.acknowledge(ben.poll())
    ann.send_message(ben.me().user_id, "hello")
    assert ben.poll().messages == ben.poll().messages != ()
    ben.acknowledge(ben.poll())
    assert ben.poll().messages == ()


def test_a_reader_that_is_killed_again_and_again_copies_each_message_once(somebody, url, file):
    ann, ben = somebody("ann"), somebody("ben")
    first = SQLiteStore(file)
    with Client(url, ben.token, store=first) as client:
        assert list(client.messages(follow=False)) == []
    first.close()
    group = ann.create_group("readers", [ben.me().user_id])
    for n in range(20):
        ann.send_message(ben.me().user_id, f"private {n}")
        ann.send_message_to_group(group.group_id, f"group {n}")

    for after in (1, 2, 3, 5, 8, 0):
        done = subprocess.run(
            [sys.executable, CONSUMER, url, ben.token, file, str(after)],
            check=False,
            env={**os.environ, "PYTHONPATH": str(CONSUMER.parent.parent)},
            timeout=60,
        )
        assert done.returncode == (-signal.SIGKILL if after else 0)

    mine = sqlite3.connect(file).execute("SELECT chat_id, seq, text FROM mine").fetchall()
    assert len(mine) == len(set(mine)) == 41
    for chat in {row[0] for row in mine}:
        seqs = [seq for chat_id, seq, _ in mine if chat_id == chat]
        assert seqs == list(range(1, len(seqs) + 1))


def test_following_goes_on_while_the_web_server_is_killed(somebody, live_stack):
    ann, ben = somebody("ann"), somebody("ben")
    assert list(ben.messages(follow=False)) == []
    recipient = ben.me().user_id
    texts = [f"text {n}" for n in range(60)]

    def write() -> None:
        for n, text in enumerate(texts):
            ann.send_message(recipient, text)
            if n in {15, 40}:
                live_stack.kill_all("web")

    writer = threading.Thread(target=write)
    writer.start()
    got = []
    for message in ben.messages(interval=0.05):
        got.append(message.text)
        if len(got) == len(texts):
            break
    writer.join()
    assert got == texts
    assert [message.text for message in ben.history(got_chat(ben))] == texts[::-1]


def got_chat(client: Client) -> str:
    return next(client.chats()).chat_id


def test_a_file_keeps_the_place(somebody, url, file):
    ann, ben = somebody("ann"), somebody("ben")
    for text in ("one", "two"):
        ann.send_message(ben.me().user_id, text)
        store = SQLiteStore(file)
        with Client(url, ben.token, store=store) as client:
            assert [message.text for message in client.messages(follow=False)] == [text]
        store.close()


def test_after_a_restore_it_starts_anew_and_says_so(somebody, database):
    ann, ben = somebody("ann"), somebody("ben")
    ann.send_message(ben.me().user_id, "hello")
    assert len(list(ben.messages(follow=False))) == 1
    database("UPDATE messaging_logstate SET epoch = epoch + 1")
    resets, got = [], []
    # Until the sweeper has told the cache, polls are answered as before: nothing is new.
    deadline = time.monotonic() + 30
    while not resets and time.monotonic() < deadline:
        got = list(ben.messages(follow=False, on_reset=lambda: resets.append(1)))
    assert (resets, [message.text for message in got]) == ([1], ["hello"])
    assert list(ben.messages(follow=False, on_reset=lambda: resets.append(2))) == []
    assert resets == [1]


def test_without_following_a_server_that_is_away_is_an_error():
    client = Client("http://127.0.0.1:9", "no token", store=MemoryStore(), patience=0)
    with pytest.raises(Unavailable):
        list(client.messages(follow=False))
