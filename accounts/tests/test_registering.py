"""`POST /register`."""

import pytest

from accounts.models import Token, User
from accounts.tests.factories import PASSWORD, client_of, fault, make_user
from common.tests.servers import at_once

pytestmark = pytest.mark.django_db


def register(client, **body):
    return client.post("/register", body, format="json")


def test_it_creates_a_user_with_a_token_that_works(anyone):
    response = register(anyone, username="ada", password=PASSWORD, display_name="Ada L.")
    assert response.status_code == 201
    body = response.json()
    assert set(body) == {"user_id", "username", "display_name", "token"}
    user = User.objects.get()
    assert body["user_id"] == str(user.pk)
    assert user.pk.version == 7
    assert (body["username"], body["display_name"]) == ("ada", "Ada L.")
    me = client_of(token=body["token"]).get("/users/me/")
    assert me.json() == {"user_id": str(user.pk), "username": "ada", "display_name": "Ada L."}


def test_without_a_password_the_token_is_the_only_way_in(anyone):
    body = register(anyone, username="ada").json()
    assert client_of(token=body["token"]).get("/users/me/").status_code == 200
    assert not User.objects.get().has_usable_password()
    for password in ("", "!", "None"):
        response = anyone.post("/login", {"username": "ada", "password": password}, format="json")
        assert response.status_code in {400, 401}


def test_the_display_name_is_the_username_when_not_given(anyone):
    assert register(anyone, username="ada").json()["display_name"] == "ada"
    body = register(anyone, username="bob", display_name=None, password=None).json()
    assert body["display_name"] == "bob"


@pytest.mark.parametrize("name", ["  Ada  ", "🦢 आदा", "a" * 128, "\u200fadA", "<b>"])
def test_a_display_name_is_kept_as_it_is(anyone, name):
    assert register(anyone, username="ada", display_name=name).json()["display_name"] == name


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "blank"),
        ("a" * 129, "max_length"),
        ("a\nb", "control_characters"),
        ("a\x00b", "null_characters_not_allowed"),
        ("\x7f", "control_characters"),
        ("\u202eadA", "direction_characters"),
        ("\u200b", "shows_nothing"),
        (5, "invalid"),
        (["x"], "invalid"),
    ],
)
def test_a_bad_display_name_is_refused(anyone, name, code):
    response = register(anyone, username="ada", display_name=name)
    assert response.status_code == 400
    assert code in {error["code"] for error in response.json()["errors"]}
    assert not User.objects.exists()


def test_the_token_and_the_password_are_not_stored(anyone):
    body = register(anyone, username="ada", password=PASSWORD).json()
    token = Token.objects.get()
    assert len(token.digest) == 32
    assert body["token"].encode() not in bytes(token.digest)
    assert User.objects.get().password.startswith("argon2")


@pytest.mark.parametrize("other", ["ada", "ADA", "Ada", "\uff41\uff44\uff41"])
def test_a_taken_name_is_a_conflict(anyone, other):
    make_user("Ada")
    assert fault(register(anyone, username=other)) == (409, "username_taken", "username")
    assert User.objects.count() == 1


def test_of_many_who_race_for_a_name_one_gets_it(transactional_db):
    forms = ["Ada", "ada", "ADA", "\uff41\uff44\uff41"]
    answers = at_once(20, lambda n: register(client_of(), username=forms[n % 4]))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    for answer in answers:
        if answer.status_code == 409:
            assert fault(answer) == (409, "username_taken", "username")
    assert (User.objects.count(), Token.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "username", "required"),
        ({"username": None}, "username", "null"),
        ({"username": ""}, "username", "blank"),
        ({"username": 5}, "username", "invalid"),
        ({"username": True}, "username", "invalid"),
        ({"username": ["ada"]}, "username", "invalid"),
        ({"username": "a" * 65}, "username", "max_length"),
        ({"username": "a b"}, "username", "invalid"),
        ({"username": "ada", "password": 12345678}, "password", "invalid"),
        ({"username": "ada", "password": ""}, "password", "blank"),
        ({"username": "ada", "password": "swans"}, "password", "password_too_short"),
        ({"username": "ada", "password": "password"}, "password", "password_too_common"),
        ({"username": "ada", "password": "73194026"}, "password", "password_entirely_numeric"),
        ({"username": "lovelace", "password": "lovelace1"}, "password", "password_too_similar"),
        ({"username": "ada", "password": "x" * 1025}, "password", "max_length"),
    ],
)
def test_what_is_missing_or_wrong_is_named(anyone, body, field, code):
    assert fault(register(anyone, **body)) == (400, code, field)
    assert not User.objects.exists()


def test_unknown_fields_are_ignored(anyone):
    response = register(anyone, username="ada", is_staff=True, id=1)
    assert response.status_code == 201
    assert not User.objects.get().is_staff


def test_it_needs_no_token_and_minds_no_bad_one(anyone):
    anyone.credentials(HTTP_AUTHORIZATION="Bearer nonsense")
    assert register(anyone, username="ada").status_code == 201


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_only_post_is_a_method_of_it(anyone, method):
    assert fault(getattr(anyone, method)("/register"))[:2] == (405, "method_not_allowed")


def test_a_slash_at_the_end_is_another_path(anyone):
    assert anyone.post("/register/", {"username": "ada"}, format="json").status_code == 404
