"""Users, tokens and clients to test with."""

from itertools import count

from rest_framework.test import APIClient

from accounts import services
from accounts.models import User

PASSWORD = "seven wild swans"

_numbers = count(1)


def make_user(username: str | None = None, **fields) -> User:
    """Return a saved user; without a password unless one is given."""
    return User.objects.create_user(username or f"user{next(_numbers)}", **fields)


def make_token(user: User) -> str:
    """Return a new token of a user."""
    return services._issue(user)


def client_of(user: User | None = None, *, token: str | None = None) -> APIClient:
    """Return a client that sends a token: the one given, or a new one of the user."""
    client = APIClient()
    if user is not None:
        token = make_token(user)
    if token is not None:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def fault(response) -> tuple[int, str, str | None]:
    """Return the status, code and field of a refusal, and check that it has the one shape."""
    body = response.json()
    assert set(body) == {"type", "errors"}
    first = body["errors"][0]
    assert set(first) == {"code", "detail", "attr"}
    assert first["detail"]
    return response.status_code, first["code"], first["attr"]
