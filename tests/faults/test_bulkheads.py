"""What is slow or hangs holds a part of the web's threads: idle polls, which need none of it, go on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import psycopg

from tests.faults.stage import Stage, until
from tests.http import Answer, Person, Server, at_once

CROWD = 30
POLLS = 20
PAUSE_SECONDS = 0.2
"""Between two tries of each: less than Retry-After asks for."""
PATIENCE_SECONDS = 5.0
"""Far more than a poll takes, far less than the 10 s that a locked table holds those who send."""


@contextmanager
def crowd(act: Callable[[int], Answer], seen: list[Answer]) -> Iterator[None]:
    """Have many ask for something again and again meanwhile."""
    over = threading.Event()

    def ask(number: int) -> None:
        while not over.wait(PAUSE_SECONDS):
            seen.append(act(number))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CROWD)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def idle(stage: Stage) -> tuple[Server, str, str | None]:
    """Return somebody who polls, on connections that give up early, with their cursor."""
    ann, ben = stage.server.people("ann", "ben")
    ann.send(ben, "0").ok(201)
    follower = ben.follow()
    follower.until_quiet()
    return Server(stage.stack.base_url, timeout=PATIENCE_SECONDS), ben.token, follower.cursor


def test_a_locked_table(stage: Stage) -> None:
    people = stage.server.crowd(CROWD)
    server, token, cursor = idle(stage)
    seen: list[Answer] = []

    def send(number: int) -> Answer:
        return people[number].send(people[number - 1], "a")

    with psycopg.connect(stage.database_url) as locker:
        locker.execute("LOCK TABLE messaging_message IN ACCESS EXCLUSIVE MODE")
        with crowd(send, seen):
            until(lambda: any(answer.status == 503 for answer in seen), 20)
            for _ in range(POLLS):
                assert server.post("/get_messages", token, cursor=cursor).ok()["chats"] == []
            locker.rollback()
    refused = [answer for answer in seen if answer.status != 201]
    for answer in refused:
        assert answer.status == 503, answer
        assert int(answer.headers["retry-after"]) >= 1
    # And nobody is left waiting for a lock: those given up were cancelled.
    until(lambda: not stuck(stage.database_url), 10)
    server.close()


def stuck(url: str) -> int:
    """Return how many of the server's processes wait for a lock."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        ).fetchone()
    return int(found[0]) if found else 0


def test_the_given_up_are_cancelled_while_the_lock_is_held(stage: Stage) -> None:
    people = stage.server.crowd(CROWD)
    with psycopg.connect(stage.database_url) as locker:
        locker.execute("LOCK TABLE messaging_message IN ACCESS EXCLUSIVE MODE")
        at_once([partial(people[n].send, people[n - 1], "a", "once") for n in range(CROWD)])
        # Each has been answered; what they asked for is not waited for by anybody any more.
        until(lambda: stuck(stage.database_url) == 0, 10)
        locker.rollback()
    for number in range(CROWD):
        people[number].send(people[number - 1], "a", "once").ok(200, 201)
        assert people[number].follow().once()


def test_a_crowd_that_logs_in(stage: Stage) -> None:
    names = [stage.server.person(f"login{n}", "seven wild swans") for n in range(8)]
    server, token, cursor = idle(stage)
    seen: list[Answer] = []

    def log_in(number: int) -> Answer:
        name = names[number % len(names)].username
        return stage.server.post("/login", username=name, password="seven wild swans")

    with crowd(log_in, seen):
        until(lambda: bool(seen), 20)
        for _ in range(POLLS):
            assert server.post("/get_messages", token, cursor=cursor).ok()["chats"] == []
        until(lambda: any(answer.status == 200 for answer in seen), 20)
    assert {answer.status for answer in seen} <= {200, 429, 503}
    assert any(answer.status == 503 for answer in seen)
    for answer in seen:
        if answer.status == 503:
            answer.refused(503, "busy")
            assert int(answer.headers["retry-after"]) >= 1
    server.close()


def test_a_login_that_was_not_let_in_counts_as_no_guess(stage: Stage) -> None:
    person: Person = stage.server.person("owner", "seven wild swans")
    log_in = partial(
        stage.server.post, "/login", username=person.username, password="seven wild swans"
    )
    answers = at_once([log_in] * CROWD)
    assert {answer.status for answer in answers} <= {200, 429, 503}
    until(lambda: log_in().status == 200, 60)
