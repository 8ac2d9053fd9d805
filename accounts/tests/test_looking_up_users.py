"""`GET /users/me/` and `GET /users/{id}/`."""

import pytest

from accounts.tests.factories import client_of, fault, make_user
from common.ids import new_id

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(db):
    return make_user("ada", display_name="Ada L.")


def test_me_is_the_caller(ada):
    expected = {"user_id": str(ada.pk), "username": "ada", "display_name": "Ada L."}
    assert client_of(ada).get("/users/me/").json() == expected


def test_any_user_may_look_another_up(ada):
    response = client_of(make_user()).get(f"/users/{ada.pk}/")
    assert response.status_code == 200
    assert response.json() == {
        "user_id": str(ada.pk),
        "username": "ada",
        "display_name": "Ada L.",
    }


@pytest.mark.parametrize("path", ["nobody", "1", "0" * 32, "{x}", "%00", "me2"])
def test_what_is_no_id_is_a_404(ada, path):
    assert fault(client_of(ada).get(f"/users/{path}/"))[:2] == (404, "not_found")


def test_an_unknown_id_is_a_404(ada):
    assert fault(client_of(ada).get(f"/users/{new_id()}/")) == (404, "not_found", None)


def test_nobody_can_list_users(ada):
    assert fault(client_of(ada).get("/users/"))[:2] == (404, "not_found")


def test_it_needs_a_token(ada, anyone):
    for path in ("/users/me/", f"/users/{ada.pk}/"):
        assert anyone.get(path).status_code == 401


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_it_is_read_only(ada, method):
    assert getattr(client_of(ada), method)("/users/me/").status_code == 405
    assert getattr(client_of(ada), method)(f"/users/{ada.pk}/").status_code == 405


def test_a_known_token_makes_it_one_query(ada, django_assert_num_queries):
    client = client_of(ada)
    client.get("/users/me/")
    with django_assert_num_queries(1):
        client.get("/users/me/")
