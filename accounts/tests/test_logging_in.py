"""`POST /login`."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts import services, tokens
from accounts.hashers import Argon2PasswordHasher
from accounts.models import Token
from accounts.tests.factories import PASSWORD, client_of, fault, make_user
from audit.actors import process

# Hashing takes a while: in one transaction the slowest of these would outlast what one may.
pytestmark = pytest.mark.django_db(transaction=True)


def login(client, username="ada", password=PASSWORD):
    return client.post("/login", {"username": username, "password": password}, format="json")


def test_it_answers_a_new_token_that_works(anyone):
    user = make_user("ada", password=PASSWORD, display_name="Ada L.")
    response = login(anyone)
    assert response.status_code == 200
    body = response.json()
    token = body.pop("token")
    assert body == {"user_id": str(user.pk), "username": "ada", "display_name": "Ada L."}
    assert client_of(token=token).get("/users/me/").json() == body


@pytest.mark.parametrize("name", ["ADA", "Ada", "\uff41\uff44\uff41"])
def test_the_name_may_be_in_any_case_and_form(anyone, name):
    make_user("Ada", password=PASSWORD)
    assert login(anyone, name).status_code == 200


def test_each_login_is_one_more_token(anyone):
    make_user("ada", password=PASSWORD)
    given = {login(anyone).json()["token"] for _ in range(3)}
    assert len(given) == 3
    assert all(client_of(token=one).get("/users/me/").status_code == 200 for one in given)


def test_a_user_has_so_many_tokens_and_the_one_used_longest_ago_goes(anyone, settings):
    settings.TOKENS_PER_USER = 3
    user, bob = make_user("ada", password=PASSWORD), make_user("bob")
    of_bob = services._issue(bob)
    first, second, third = (services._issue(user) for _ in range(3))
    now = timezone.now()
    for minutes, token in ((1, first), (9, second)):
        Token.objects.filter(digest=tokens.digest(token)).update(
            last_used_at=now - timedelta(minutes=minutes), created_at=now - timedelta(hours=1)
        )
    fourth = login(anyone).json()["token"]
    live = Token.objects.filter(revoked_at=None)
    of_ada = {bytes(token.digest) for token in live.filter(user=user)}
    assert of_ada == {tokens.digest(token) for token in (first, third, fourth)}
    assert bytes(live.get(user=bob).digest) == tokens.digest(of_bob)


def refused_logins():
    make_user("ada", password=PASSWORD)
    make_user("without")
    services.ban_user(user=make_user("banned", password=PASSWORD))
    return [("ada", "wrong"), ("nobody", PASSWORD), ("without", PASSWORD), ("banned", PASSWORD)]


def test_every_refusal_is_the_same(anyone):
    answers = [login(anyone, *credentials) for credentials in refused_logins()]
    assert {(a.status_code, a.content, a["WWW-Authenticate"]) for a in answers} == {
        (401, answers[0].content, "Bearer")
    }
    assert fault(answers[0]) == (401, "wrong_credentials", None)


def test_every_refusal_takes_the_time_of_one_hash(anyone, monkeypatch):
    hashed = []

    def counting(name):
        real = getattr(Argon2PasswordHasher, name)

        def count(self, *args, **kwargs):
            hashed.append(name)
            return real(self, *args, **kwargs)

        monkeypatch.setattr(Argon2PasswordHasher, name, count)

    cases = refused_logins()
    counting("encode")
    counting("verify")
    for credentials in cases:
        hashed.clear()
        assert login(anyone, *credentials).status_code == 401
        assert len(hashed) == 1, credentials


def test_a_ban_during_a_login_wins(anyone, monkeypatch):
    user = make_user("ada", password=PASSWORD)
    check = type(user).check_password

    def check_then_ban(self, password):
        right = check(self, password)
        # As from elsewhere: a request of nobody bans nobody.
        services.ban_user(user=user, by=process())
        return right

    monkeypatch.setattr(type(user), "check_password", check_then_ban)
    assert login(anyone).status_code == 401
    assert not Token.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"username": "ada"}, "password"),
        ({"password": PASSWORD}, "username"),
        ({"username": 1, "password": PASSWORD}, "username"),
        ({"username": "ada", "password": 1}, "password"),
        ({"username": "ada", "password": None}, "password"),
        ({"username": "a\x00", "password": "x"}, "username"),
    ],
)
def test_what_is_missing_or_wrong_is_named(anyone, body, field):
    response = anyone.post("/login", body, format="json")
    assert (response.status_code, response.json()["errors"][0]["attr"]) == (400, field)


def test_a_token_ends_after_its_lifetime(anyone, settings):
    make_user("ada", password=PASSWORD)
    settings.TOKEN_LIFETIME_DAYS = 2
    token = login(anyone).json()["token"]
    expires_at = Token.objects.get().expires_at
    assert expires_at
    left = expires_at - timezone.now()
    assert timedelta(days=1.9) < left <= timedelta(days=2)
    assert client_of(token=token).get("/users/me/").status_code == 200


def test_a_token_lives_for_ever_by_default(anyone):
    make_user("ada", password=PASSWORD)
    login(anyone)
    assert Token.objects.get().expires_at is None


def test_the_admin_and_the_browsable_api_take_the_same_names():
    make_user("Ada", password=PASSWORD, is_staff=True)
    for path in ("/admin/login/", "/browse/login/"):
        browser = Client()
        response = browser.post(
            path, {"username": "ADA", "password": PASSWORD, "next": "/users/me/"}
        )
        assert response.status_code == 302, path
        assert browser.get("/users/me/").json()["username"] == "Ada"
