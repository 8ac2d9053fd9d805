"""A database that hangs: who waits for it is told so in time, and finds it again afterwards."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection, transaction

from common.database import rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def short_wait(settings):
    connection.close()
    settings.DB_TRANSACTION_TIMEOUT_MS = 100
    yield
    connection.close()


def ask_while_it_hangs(servers) -> None:
    servers.postgres.pause()
    try:
        rows("SELECT 2", ())
    finally:
        servers.postgres.resume()


def test_a_statement_is_given_up_and_the_next_one_finds_the_server_again(servers, short_wait):
    assert rows("SELECT 1", ()) == [(1,)]
    with pytest.raises(OperationalError, match="does not answer"):
        ask_while_it_hangs(servers)
    assert rows("SELECT 3", ()) == [(3,)]


def test_nobody_else_waits_while_the_server_is_asked_to_stop(servers, short_wait):
    servers.postgres.pause()
    try:
        for _ in range(3):
            with pytest.raises(OperationalError):
                rows("SELECT 2", ())
            # Each thread gets its turn, though the one that asks the server gets no answer.
            with ThreadPoolExecutor(1) as other:
                assert other.submit(sum, (1, 2)).result(timeout=60) == 3
    finally:
        servers.postgres.resume()
    assert rows("SELECT 3", ()) == [(3,)]


def test_within_a_transaction_too(servers, short_wait):
    def transact() -> None:
        with transaction.atomic():
            rows("SELECT 1", ())
            ask_while_it_hangs(servers)

    with pytest.raises(OperationalError):
        transact()
    assert rows("SELECT 3", ()) == [(3,)]
