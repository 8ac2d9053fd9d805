"""Messages and revocations that were committed and could not be told to the cache."""

import os
import subprocess
import sys
import threading
import time
from functools import partial

import httpx
import psycopg
import pytest

from config.options import BASE_DIR
from tests.faults.stage import DELIVERY_SECONDS, REVOCATION_SECONDS, Stage, until
from tests.http import Answer, Follower, Person, at_once


def delivered(follower: Follower, chat: str, seq: int) -> bool:
    follower.once()
    return seq in follower.seqs(chat)


def test_a_message_sent_while_the_cache_is_frozen(stage: Stage) -> None:
    ann, ben = stage.server.people("ann", "ben")
    ann.send(ben, "0").ok(201)
    follower = ben.follow()
    follower.until_quiet()
    with stage.paused("valkey"):
        began = time.monotonic()
        message = ann.send(ben, "1").ok(201)
        assert time.monotonic() - began < 10
        until(lambda: delivered(follower, message["chat_id"], message["seq"]), 10)
    assert follower.seqs(message["chat_id"]) == [1, 2]


def test_and_polled_for_after_it_goes_on(stage: Stage) -> None:
    ann, ben = stage.server.people("ann", "ben")
    ann.send(ben, "0").ok(201)
    follower = ben.follow()
    follower.until_quiet()
    with stage.paused("valkey"):
        message = ann.send(ben, "1").ok(201)
    until(lambda: delivered(follower, message["chat_id"], message["seq"]), DELIVERY_SECONDS)
    assert follower.seqs(message["chat_id"]) == [1, 2]


@pytest.mark.parametrize("kind", ["private", "group"])
def test_a_sender_killed_between_commit_and_cache(stage: Stage, kind: str) -> None:
    ann, ben = stage.server.people("ann", "ben")
    group = ann.group(ben)
    chat = ann.send(ben, "0").ok(201)["chat_id"] if kind == "private" else group["group_id"]
    follower = ben.follow()
    follower.until_quiet()
    before = follower.seqs(chat)

    def send() -> None:
        if kind == "private":
            ann.send(ben, "committed", "once")
        else:
            ann.send_group(group, "committed", "once")

    def committed() -> bool:
        with psycopg.connect(stage.database_url) as connection:
            row = connection.execute(
                "SELECT 1 FROM messaging_message WHERE chat_id = %s AND client_id = 'once'", [chat]
            ).fetchone()
            return row is not None

    def attempt() -> None:
        try:
            send()
        except httpx.TransportError:
            return

    with stage.paused("valkey"):
        # The cache takes no answer, so whoever has committed now hangs in telling it.
        thread = threading.Thread(target=attempt)
        thread.start()
        until(committed, 5)
        stage.kill_workers()
        thread.join(15)
        assert not thread.is_alive()
    stage.wait_for_service()
    began = time.monotonic()
    until(lambda: delivered(follower, chat, before[-1] + 1), DELIVERY_SECONDS)
    assert time.monotonic() - began < DELIVERY_SECONDS
    answer = (
        ann.send(ben, "committed", "once")
        if kind == "private"
        else ann.send_group(group, "committed", "once")
    )
    assert answer.ok(200)["seq"] == before[-1] + 1
    follower.until_quiet()
    assert follower.seqs(chat) == [*before, before[-1] + 1]


def test_a_list_filled_by_one_does_not_hide_what_others_were_not_told(stage: Stage) -> None:
    """The message is in the chat's list, for one who read it there, and in nobody's index."""
    ann, ben, cid = stage.server.people("ann", "ben", "cid")
    group = ann.group(ben, cid)["group_id"]
    stage.flush()
    stage.wait_for_cache()
    follower = ben.follow()
    follower.until_quiet()
    stage.flush()
    stage.wait_for_cache()
    # Fills Ben's index, and no list.
    follower.until_quiet()
    stage.pause("sweeper")
    with stage.paused("valkey"):
        message = ann.send_group(group, "x").ok(201)
    until(lambda: cid.messages(group, limit=5).headers["x-served-from"] == "cache", 10)
    assert cid.messages(group, limit=1).ok()["results"] == [message]
    stage.resume("sweeper")
    until(lambda: delivered(follower, group, message["seq"]), DELIVERY_SECONDS)


def test_a_first_poll_at_the_same_moment_as_a_message_hides_nothing(stage: Stage) -> None:
    """Ben has two devices: one starts anew, over and over, while the other follows by cursor."""
    ann, ben = stage.server.people("ann", "ben")
    # So many chats that it takes a while from reading them to putting them into the cache.
    at_once([ben.group] * 400, threads=8)
    chat = ann.send(ben, "0").ok(201)["chat_id"]
    follower = ben.follow()
    follower.until_quiet()
    for n in range(1, 60):
        wait = (n % 30) / 1000

        def send(n: int = n, wait: float = wait) -> Answer:
            time.sleep(wait)
            return ann.send(ben, f"{n}")

        for answer in at_once([send, ben.poll, ben.poll]):
            answer.ok(200, 201)
        follower.once()
        assert follower.texts(chat)[-1] == f"{n}"


def test_one_removed_while_the_cache_is_frozen_sees_no_more(stage: Stage) -> None:
    ann, ben = stage.server.people("ann", "ben")
    others = stage.server.crowd(120)
    for group in (ann.group(ben), ann.group(ben, *others)):
        gid = group["group_id"]
        follower = ben.follow(limit=500)
        follower.until_quiet()
        ben.messages(gid).ok()
        stage.pause("sweeper")
        with stage.paused("valkey"):
            ann.remove(group, ben).ok(200)
        last = ann.history(gid)[-1]["seq"]
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            ann.send_group(gid, "secret").ok(201)
            follower.once()
            assert "secret" not in follower.texts(gid)
            seqs = [m["seq"] for m in ben.messages(gid, limit=100).ok()["results"]]
            assert max(seqs, default=0) <= last
        stage.resume("sweeper")
        until(partial(delivered, follower, gid, last), DELIVERY_SECONDS)


def refused(person: Person) -> bool:
    return person.get("/users/me/").status == 401


@pytest.mark.parametrize("sweeper", ["running", "paused"])
def test_a_revocation_while_the_cache_is_frozen_and_then_back(stage: Stage, sweeper: str) -> None:
    ann, ben = stage.server.people("ann", "ben")
    cursor = ann.poll().ok()["cursor"]
    for _ in range(8):
        ann.poll(cursor).ok()
    if sweeper == "paused":
        stage.pause("sweeper")
    with stage.paused("valkey"):
        assert ann.post("/logout").status == 204
    began = time.monotonic()

    def refused_everywhere() -> bool:
        answers = at_once(
            [
                lambda: ann.poll(cursor),
                lambda: ann.get("/users/me/"),
                lambda: ann.send(ben, "x"),
                lambda: ann.get("/chats/"),
            ]
            * 2
        )
        return all(answer.status == 401 for answer in answers)

    until(refused_everywhere, REVOCATION_SECONDS)
    while time.monotonic() < began + REVOCATION_SECONDS + 0.5:
        late = time.monotonic() > began + REVOCATION_SECONDS
        assert refused_everywhere() or not late


def test_a_revocation_holds_everywhere_within_five_seconds(stage: Stage) -> None:
    ann, ben = stage.server.people("ann", "ben")
    cursor = ann.poll().ok()["cursor"]
    for _ in range(8):
        ann.poll(cursor).ok()
    assert ann.post("/logout").status == 204
    until(lambda: refused(ann), REVOCATION_SECONDS)
    for answer in at_once(
        [lambda: ann.poll(cursor), lambda: ann.get("/users/me/"), lambda: ann.send(ben, "x")] * 4
    ):
        answer.refused(401)


def test_a_ban_holds_everywhere_within_five_seconds(stage: Stage) -> None:
    ann = stage.server.person("ann", "correct horse battery 7")
    cursor = ann.poll().ok()["cursor"]
    ann.poll(cursor).ok()
    # As an administrator's shell would do it; the admin's own action is tested where it is made.
    code = (
        "from accounts import services; from accounts.models import User;"
        f"services.ban_user(user=User.objects.get(pk='{ann.user_id}'))"
    )
    environment = {
        **os.environ,
        **stage.stack.environment(),
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    subprocess.run(
        [sys.executable, "manage.py", "shell", "-c", code],
        cwd=BASE_DIR,
        env=environment,
        check=True,
        capture_output=True,
    )
    until(lambda: refused(ann) and ann.poll(cursor).status == 401, REVOCATION_SECONDS)
    ann.server.post("/login", username=ann.username, password="correct horse battery 7").refused(
        401
    )
