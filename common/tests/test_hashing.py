"""A web worker's passwords are hashed by a process beside it, which may die and is not missed."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from argon2.exceptions import InvalidHash
from django.contrib.auth.hashers import check_password, make_password

from common import hashing
from common.bulkheads import Busy, bulkheads
from common.hasher import NICENESS
from common.hashing import Hasher

PASSWORD = "seven wild swans"


@pytest.fixture
def hasher(monkeypatch):
    """The process of a web worker with four threads."""
    hasher, before = Hasher(), bulkheads.threads
    monkeypatch.setattr(hashing, "_hasher", hasher)
    bulkheads.serve_with(4)
    yield hasher
    bulkheads.serve_with(before)
    hasher.end()


def test_where_nobody_is_served_it_is_done_in_place(hasher):
    bulkheads.serve_with(0)
    encoded = make_password(PASSWORD, hasher="argon2")
    assert check_password(PASSWORD, encoded)
    assert hasher.pid is None


def test_a_hash_is_the_same_wherever_it_was_made(hasher):
    assert hasher.pid is None, "nobody has logged in yet"
    encoded = make_password(PASSWORD, hasher="argon2")
    assert encoded.startswith("argon2$argon2id$v=19$m=102400,t=2,p=8$")
    assert check_password(PASSWORD, encoded)
    assert not check_password("eight wild swans", encoded)
    assert psutil.Process(hasher.pid).nice() == NICENESS
    bulkheads.serve_with(0)
    assert check_password(PASSWORD, encoded)


def test_what_goes_wrong_there_is_raised_here(hasher):
    with pytest.raises(InvalidHash):
        hasher.call("is_right", encoded="$nonsense", password=PASSWORD)
    assert not hasher.call("is_right", encoded=make_password("x")[len("argon2") :], password="y")


def test_one_that_was_killed_meanwhile_is_replaced(hasher):
    encoded = make_password(PASSWORD, hasher="argon2")
    first = hasher.pid
    os.kill(first, signal.SIGKILL)
    assert check_password(PASSWORD, encoded)
    assert hasher.pid != first
    assert not psutil.pid_exists(first)


def test_one_that_does_not_answer_is_ended_and_the_next_password_starts_another(
    hasher, monkeypatch
):
    encoded = make_password(PASSWORD, hasher="argon2")
    first = hasher.pid
    os.kill(first, signal.SIGSTOP)
    monkeypatch.setattr(hashing, "LONGEST_SECONDS", 0.1)
    with pytest.raises(Busy):
        check_password(PASSWORD, encoded)
    assert not psutil.pid_exists(first)
    monkeypatch.undo()
    monkeypatch.setattr(hashing, "_hasher", hasher)
    assert check_password(PASSWORD, encoded)


def test_it_ends_with_the_worker(hasher):
    make_password(PASSWORD, hasher="argon2")
    process = psutil.Process(hasher.pid)
    hasher._connection.close()
    process.wait(timeout=10)


def test_two_at_once_are_done_and_a_third_is_not_let_in(hasher):
    encoded = make_password(PASSWORD, hasher="argon2")

    def check(_: int) -> bool | None:
        try:
            return check_password(PASSWORD, encoded)
        except Busy:
            return None

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(check, range(16)))
    assert True in found
    assert False not in found
    bulkheads.refuse_if_full("hashing")
