"""Where too many wait for the database, who comes is refused before anything is begun, or not at all.

A refusal in the middle of a transaction would leave a connection half used: what the next request
does on it would be answered, and never committed.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, ProgrammingError, connection, transaction
from psycopg.pq import TransactionStatus

from common import bulkheads as module
from common.bulkheads import bulkheads
from common.counts import Board
from common.database import rows
from common.unavailable import unavailable

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 4


class Crowd:
    """All other threads of this worker: from `comes` on they wait for an answer, for long."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def comes(self) -> None:
        for _ in range(THREADS - 1):
            inside = threading.Event()
            thread = threading.Thread(target=self._wait, args=(inside,))
            thread.start()
            self._threads.append(thread)
            assert inside.wait(10)

    def goes(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _wait(self, inside: threading.Event) -> None:
        bulkheads.begin_question(begun=True)
        inside.set()
        self._over.wait()
        bulkheads.end_question()


@pytest.fixture
def crowd(settings, monkeypatch) -> Iterator[Crowd]:
    settings.DB_TRANSACTION_TIMEOUT_MS = 10_000
    connection.close()
    before = bulkheads.threads
    bulkheads.serve_with(THREADS)
    # Whoever waits at all counts as stuck.
    monkeypatch.setattr(bulkheads, "_stuck", lambda _: len(bulkheads._since) >= THREADS - 1)
    monkeypatch.setattr(module, "PROMPT_SECONDS", 10.0)
    crowd = Crowd()
    yield crowd
    crowd.goes()
    bulkheads.serve_with(before)
    connection.close()


def status() -> TransactionStatus:
    return TransactionStatus(connection.connection.info.transaction_status)


def test_a_transaction_that_has_begun_is_finished(crowd):
    with transaction.atomic():
        assert rows("SELECT 1", ()) == [(1,)]
        crowd.comes()
        assert rows("SELECT 2", ()) == [(2,)]
        with transaction.atomic():
            assert rows("SELECT 3", ()) == [(3,)]
    assert connection.get_autocommit()
    assert status() == TransactionStatus.IDLE


def test_and_undone_where_it_fails(crowd):
    def fail() -> None:
        with transaction.atomic():
            rows("SELECT 1", ())
            crowd.comes()
            rows("SELECT 1 / 0", ())

    with pytest.raises(Exception, match="division by zero"):
        fail()
    assert connection.get_autocommit()
    assert status() == TransactionStatus.IDLE


def test_one_that_has_not_is_refused_and_the_connection_stays_good(crowd):
    assert rows("SELECT 1", ()) == [(1,)]
    raw = connection.connection
    crowd.comes()
    for _ in range(3):
        with pytest.raises(OperationalError, match="too many"), transaction.atomic():
            rows("SELECT 2", ())
        assert connection.connection is raw, "nothing was begun, and nothing has to be closed"
        assert connection.get_autocommit()
    crowd.goes()
    with transaction.atomic():
        assert rows("SELECT 3", ()) == [(3,)]


def test_a_connection_is_opened_whole_or_not_at_all(crowd):
    crowd.comes()
    with pytest.raises(OperationalError, match="too many"):
        rows("SELECT 1", ())
    assert connection.connection is None


def test_the_crowd_comes_while_a_connection_is_being_prepared(crowd, monkeypatch):
    before = connection.init_connection_state

    def prepare() -> None:
        crowd.comes()
        before()

    monkeypatch.setattr(connection, "init_connection_state", prepare)
    connection.ensure_connection()
    assert connection.get_autocommit()
    monkeypatch.undo()
    crowd.goes()
    assert rows("SHOW timezone", ()) == [("UTC",)]


def test_a_connection_that_can_not_be_prepared_is_closed(crowd, monkeypatch):
    def prepare() -> None:
        raise OperationalError("no")

    monkeypatch.setattr(connection, "init_connection_state", prepare)
    with pytest.raises(OperationalError, match="no"):
        connection.ensure_connection()
    assert connection.connection is None


# A connection in a state that should not be -------------------------------------------------------


def test_what_psycopg_says_of_a_half_used_connection_is_not_now(crowd):
    rows("SELECT 1", ())
    connection.connection.execute("BEGIN")
    with pytest.raises(ProgrammingError, match="autocommit") as found:
        transaction.set_autocommit(False)
    refusal = unavailable(found.value)
    assert refusal is not None
    assert refusal.status_code == 503
    # The next request has another one.
    assert connection.connection is None


def test_a_mistake_of_ours_stays_one(crowd):
    with pytest.raises(ProgrammingError) as found:
        rows("SELECT %s, %s", ("1",))
    assert unavailable(found.value) is None


# What many threads count together -----------------------------------------------------------------


def test_who_comes_and_goes_while_others_are_counted(crowd, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(module, "PROMPT_SECONDS", -1.0)

    def ask(_: int) -> None:
        for _ in range(2000):
            try:
                bulkheads.begin_question()
            except module.Busy:
                continue
            bulkheads.end_question()

    with ThreadPoolExecutor(2 * THREADS) as pool:
        list(pool.map(ask, range(2 * THREADS)))
    assert bulkheads.begin_question() is None
    bulkheads.end_question()


def test_series_that_are_new_while_all_are_read():
    board = Board()

    def add(number: int) -> None:
        for each in range(200):
            board.place((f"m{number}", (str(each),)))
            assert len(list(board.found())) >= each

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    assert len(list(board.found())) == 800
