"""A banned user is shut out by every door, and let in again by unbanning."""

import pytest
from django.test import Client

from accounts import services
from accounts.models import Token
from accounts.tests.factories import PASSWORD, client_of, make_token, make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def user(transactional_db):
    return make_user("ada", password=PASSWORD)


def login(client):
    return client.post("/login", {"username": "ada", "password": PASSWORD}, format="json")


def test_tokens_sessions_and_logins_end(user):
    client, browser = client_of(user), Client()
    browser.force_login(user)
    assert client.get("/users/me/").status_code == browser.get("/users/me/").status_code == 200
    services.ban_user(user=user)
    user.refresh_from_db()
    assert not user.is_active
    assert user.banned_at is not None
    assert client.get("/users/me/").status_code == browser.get("/users/me/").status_code == 401
    assert login(client_of()).status_code == 401


def test_a_token_that_was_never_used_ends_too(user):
    token = make_token(user)
    services.ban_user(user=user)
    assert client_of(token=token).get("/users/me/").status_code == 401


def test_a_user_made_inactive_by_other_means_is_shut_out_too(user):
    client = client_of(user)
    type(user).objects.update(is_active=False)
    assert client.get("/users/me/").status_code == 401


def test_banning_again_changes_nothing(user):
    first = services.ban_user(user=user).banned_at
    assert services.ban_user(user=user).banned_at == first


def test_an_unbanned_user_logs_in_anew(user):
    client = client_of(user)
    services.ban_user(user=user)
    services.unban_user(user=user)
    assert (user.is_active, user.banned_at) == (True, None)
    assert client.get("/users/me/").status_code == 401
    assert Token.objects.filter(revoked_at=None).count() == 0
    assert login(client_of()).status_code == 200


def test_a_banned_user_can_still_be_looked_up(user):
    services.ban_user(user=user)
    assert client_of(make_user()).get(f"/users/{user.pk}/").json()["username"] == "ada"
