"""A restart of the database between two requests costs neither its answer."""

import pytest
from django.conf import settings
from django.db import connection, connections

from accounts.authentication import authenticate_token
from accounts.tests.factories import PASSWORD, client_of, make_token, make_user
from common.cache import cache

pytestmark = pytest.mark.django_db(transaction=True)


def lose_connection():
    """End this thread's connection on the server's side, as its restart does."""
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    other = connections.create_connection("default")
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    other.close()


def test_a_token_is_looked_up(transactional_db):
    user = make_user()
    token = make_token(user)
    lose_connection()
    assert authenticate_token(token) == user.pk


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/register", {"username": "bob"}),
        ("/login", {"username": "ada", "password": PASSWORD}),
        ("/block_user", {"user_id": "the other"}),
        ("/logout", {}),
        ("/users/me/", None),
        ("/blocks/", None),
    ],
)
def test_a_request_is_answered(path, body):
    assert settings.DATABASES["default"]["CONN_MAX_AGE"] is None
    ada, other = make_user("ada", password=PASSWORD), make_user("other")
    client = client_of(ada)
    client.get("/users/me/")
    lose_connection()
    if body is None:
        response = client.get(path)
    else:
        body = {
            name: str(other.pk) if value == "the other" else value for name, value in body.items()
        }
        response = client.post(path, body, format="json")
    assert response.status_code < 300, response.content
    cache.close()
