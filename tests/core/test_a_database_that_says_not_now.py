"""A database that is read-only, full, starting or out of connections is a 503, whatever way asks."""

from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection
from django.test import Client

from accounts.tests.factories import PASSWORD
from common.unavailable import sqlstate, unavailable
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)

NOT_NOW = {
    "08006": "connection_failure",
    "08P01": "what a pooler says when it has no connection left",
    "25006": "read_only_sql_transaction",
    "25P03": "idle_in_transaction_session_timeout",
    "25P04": "transaction_timeout",
    "26000": "invalid_sql_statement_name",
    "40001": "serialization_failure",
    "40P01": "deadlock_detected",
    "42P01": "undefined_table",
    "42P05": "duplicate_prepared_statement",
    "42883": "undefined_function",
    "53100": "disk_full",
    "53200": "out_of_memory",
    "53300": "too_many_connections",
    "55006": "object_in_use",
    "55P03": "lock_not_available",
    "57014": "query_canceled, by statement_timeout",
    "57P01": "admin_shutdown",
    "57P02": "crash_shutdown",
    "57P03": "cannot_connect_now",
    "58030": "io_error",
}
DEFECTS = {"22012": "division_by_zero", "42703": "undefined_column", "42601": "syntax_error"}
FORM = "application/x-www-form-urlencoded"
BROWSER: Any = {"HTTP_ACCEPT": "text/html,*/*;q=0.8"}


@contextmanager
def refusing(state):
    """Have the database refuse each new message, and each change of a user, with this SQLSTATE."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '{state}'; END $$"
        )
        for table in ("messaging_message", "accounts_user"):
            cursor.execute(
                f"CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION refuse() CASCADE")


def assert_not_now(response):
    assert response.status_code == 503, response.content
    assert int(response["Retry-After"]) > 0
    if response["Content-Type"].startswith("application/json"):
        (error,) = response.json()["errors"]
        assert (error["code"], error["attr"]) == ("database_unavailable", None)
    assert b"not now" not in response.content


@pytest.fixture
def two():
    return Person(), Person()


@pytest.mark.parametrize("state", NOT_NOW, ids=lambda state: f"{state}-{NOT_NOW[state]}")
def test_every_way_in_answers_503(two, state, django_user_model):
    ada, bob = two
    body = {"recipient_id": str(bob.id), "text": "a"}
    assert ada.post("/send_message", **body, client_id="1").status_code == 201
    django_user_model.objects.create_superuser("root", password=PASSWORD)
    admin, logged_in = Client(raise_request_exception=False), Client(raise_request_exception=False)
    with refusing(state):
        assert_not_now(ada.post("/send_message", **body, client_id="2"))
        # Two lines of an Accept header that the fast way leaves to DRF's.
        assert_not_now(ada.client.post("/send_message", body, format="json", HTTP_ACCEPT="text/json, */*;q=0.1"))  # fmt: skip
        assert_not_now(Client().post("/register", {"username": "eve"}, "application/json"))
        assert_not_now(Client().post("/register", "username=eve", FORM, **BROWSER))
        credentials = {"username": "root", "password": PASSWORD}
        assert_not_now(admin.post("/admin/login/", credentials, **BROWSER))
        assert_not_now(logged_in.post("/browse/login/", credentials, **BROWSER))
    # The same requests, sent again, are carried out, and nothing was done before.
    assert ada.post("/send_message", **body, client_id="2").json()["seq"] == 2
    assert Client().post("/register", {"username": "eve"}, "application/json").status_code == 201


@pytest.mark.parametrize("state", DEFECTS, ids=DEFECTS.get)
def test_a_defect_stays_a_500(two, state):
    ada, bob = two
    ada.client.raise_request_exception = False
    with refusing(state):
        response = ada.post("/send_message", recipient_id=str(bob.id), text="a")
    assert response.status_code == 500
    assert response.json()["errors"][0]["code"] == "error"


@pytest.fixture
def operator():
    """A connection that settings of the database don't touch."""
    parameters = connection.get_connection_params() | {
        "autocommit": True,
        "dbname": "postgres",
        "options": "-c default_transaction_read_only=off",
    }
    for ours in ("cursor_factory", "context"):
        parameters.pop(ours, None)
    with psycopg.connect(**parameters) as operator:
        yield operator


def test_a_demoted_primary_is_left_at_once(two, operator):
    ada, bob = two
    body = {"recipient_id": str(bob.id), "text": "a"}
    assert ada.post("/send_message", **body).status_code == 201
    name = connection.settings_dict["NAME"]
    operator.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    connection.close()
    try:
        assert_not_now(ada.post("/send_message", **body))
        assert_not_now(Client().post("/register", {"username": "eve"}, "application/json"))
        assert ada.poll()["chats"][0]["end"] == 1
        ready = Client().get("/readyz")
        assert ready.status_code == 503
        assert set(ready.json()) == {"status", "dependencies", "processes", "type", "errors"}
        assert ready.json()["dependencies"]["database"]["state"] == "unavailable"
        assert "read-only" in ready.json()["dependencies"]["database"]["detail"]
    finally:
        operator.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    # This connection began before: it is dropped with the answer, and the next request finds the
    # database that takes writes.
    assert_not_now(ada.post("/send_message", **body))
    assert ada.post("/send_message", **body).status_code == 201


def test_a_database_that_lets_nobody_in(two, operator):
    ada, _bob = two
    name = connection.settings_dict["NAME"]
    operator.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    connection.close()
    try:
        assert_not_now(ada.client.get("/blocks/"))
        assert_not_now(Client().post("/register", {"username": "eve"}, "application/json"))
    finally:
        operator.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    assert ada.client.get("/blocks/").status_code == 200


def test_a_session_that_a_pooler_swapped_is_used_again(two):
    ada, bob = two
    body = {"recipient_id": str(bob.id), "text": "a"}
    assert ada.post("/send_message", **body).status_code == 201
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    assert ada.post("/send_message", **body).status_code == 201


def test_a_plan_from_before_a_migration_is_a_503_and_the_next_one_works():
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE migrated (a int)")
        try:
            cursor.execute("PREPARE made_before AS SELECT * FROM migrated")
            cursor.execute("EXECUTE made_before")
            cursor.execute("ALTER TABLE migrated ALTER a TYPE text")
            with pytest.raises(DatabaseError) as caught:
                cursor.execute("EXECUTE made_before")
        finally:
            cursor.execute("DROP TABLE migrated")
    assert sqlstate(caught.value) == "0A000"
    refusal = unavailable(caught.value)
    assert refusal is not None
    assert refusal.default_code == "database_unavailable"
    assert connection.connection is None
