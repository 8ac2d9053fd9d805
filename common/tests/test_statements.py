"""Statements past all cursors: the same answers, errors and bounds as by a cursor."""

import os
import signal

import pytest
from django.db import (
    DataError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)
from django.test.utils import CaptureQueriesContext

from common.database import Statement

pytestmark = pytest.mark.django_db(transaction=True)

ROW = Statement(
    "SELECT {}::text, {}::uuid, ({}::int + 1)::bigint, true, false, NULL::text, ''::text", 3
)
UUID_TEXT = "01980f3e-7b1c-7c3a-9d55-0123456789ab"
SENT = ["naïve 🦊 'quoted' \\ %s {} $1", UUID_TEXT, "41"]
ANSWER = [(SENT[0], UUID_TEXT, "42", "t", "f", None, "")]


@pytest.fixture
def directly(monkeypatch):
    """Fail where a statement goes by a cursor."""

    def by_cursor(*args):
        raise AssertionError("it went by a cursor")

    def use():
        monkeypatch.setattr(Statement, "_by_cursor", by_cursor)

    return use


def test_it_answers_as_a_cursor_does(directly):
    with transaction.atomic():
        assert ROW(SENT) == ANSWER
    with CaptureQueriesContext(connection) as captured:
        assert ROW(SENT) == ANSWER
    assert len(captured) == 1
    directly()
    assert ROW(SENT) == ANSWER
    assert ROW([None, None, None]) == [(None, None, None, "t", "f", None, "")]


def test_no_row_and_many():
    some = Statement("SELECT n FROM generate_series(1, {}::int) n", 1)
    assert some(["0"]) == []
    assert some(["3"]) == [("1",), ("2",), ("3",)]


def test_it_is_prepared_once_a_connection(directly):
    directly()
    ROW(SENT)
    ROW(SENT)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'strata_%%'")
        assert cursor.fetchone()[0] >= 1
    connection.close()
    assert ROW(SENT) == ANSWER


@pytest.mark.parametrize(
    ("sql", "value", "error"),
    [
        ("SELECT {}::uuid", "no uuid", DataError),
        ("SELECT 1 / {}::int", "0", DataError),
        ("SELECT nothing({})", "x", ProgrammingError),
        ("INSERT INTO accounts_block (blocker_id) VALUES ({}::uuid)", UUID_TEXT, IntegrityError),
    ],
)
def test_errors_are_djangos_and_the_connection_goes_on(directly, sql, value, error):
    with transaction.atomic(), pytest.raises(error):
        Statement(sql, 1)([value])
    directly()
    for _ in range(2):
        with pytest.raises(error):
            Statement(sql, 1)([value])
    assert ROW(SENT) == ANSWER


def test_a_connection_that_the_server_closed_costs_no_answer(directly):
    directly()
    ROW(SENT)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    os.kill(pid, signal.SIGTERM)
    while os.path.exists(f"/proc/{pid}"):  # noqa: PTH110
        pass
    assert ROW(SENT) == ANSWER


def test_a_server_that_hangs_is_given_up(directly, monkeypatch):
    directly()
    assert ROW(SENT) == ANSWER
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    monkeypatch.setattr(connection.connection, "longest_wait", 0.2)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(OperationalError, match="does not answer"):
            ROW(SENT)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert ROW(SENT) == ANSWER


def test_a_slow_one_is_told(directly, settings, caplog):
    settings.SLOW_QUERY_MS = 1
    directly()
    Statement("SELECT pg_sleep({}::float8)", 1)(["0.01"])
    assert "slow query" in caplog.text


def test_a_rollback_on_its_connection_does_it_no_harm(directly):
    """psycopg answers one with DEALLOCATE ALL, where it has prepared something itself."""
    directly()
    assert ROW(SENT) == ANSWER
    for _ in range(3):
        with pytest.raises(RuntimeError), transaction.atomic():  # noqa: PT012 - the two are one
            with connection.cursor() as cursor:
                cursor.execute("SELECT %s::int", [1])
            raise RuntimeError
        assert ROW(SENT) == ANSWER


def test_nor_does_whoever_throws_all_prepared_statements_away(directly):
    directly()
    assert ROW(SENT) == ANSWER
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    assert ROW(SENT) == ANSWER
