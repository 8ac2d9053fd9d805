"""`POST /block_user`, `POST /unblock_user`, `GET /blocks/`."""

import pytest
from django.db import IntegrityError, transaction

from accounts.models import Block
from accounts.tests.factories import client_of, fault, make_token, make_user
from common.ids import new_id
from common.tests.servers import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(db):
    return make_user("ada")


@pytest.fixture
def bob(db):
    return make_user("bob")


def block(client, user_id):
    return client.post("/block_user", {"user_id": str(user_id)}, format="json")


def unblock(client, user_id):
    return client.post("/unblock_user", {"user_id": str(user_id)}, format="json")


def test_it_blocks(ada, bob):
    response = block(client_of(ada), bob.pk)
    assert response.status_code == 201
    body = response.json()
    assert set(body) == {"user_id", "created_at"}
    assert body["user_id"] == str(bob.pk)
    assert body["created_at"].endswith("Z")
    assert len(body["created_at"]) == len("2026-01-02T03:04:05.000006Z")
    assert Block.objects.get().blocker == ada


def test_a_block_that_stands_is_answered_as_it_is(ada, bob):
    client = client_of(ada)
    first, again = block(client, bob.pk), block(client, bob.pk)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()


def test_of_many_who_race_one_creates_it(transactional_db):
    ada, bob = make_user(), make_user()
    token = make_token(ada)
    answers = at_once(10, lambda _: block(client_of(token=token), bob.pk))
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert len({answer.content for answer in answers}) == 1


def test_both_may_block_each_other(ada, bob):
    assert block(client_of(ada), bob.pk).status_code == 201
    assert block(client_of(bob), ada.pk).status_code == 201


def test_nobody_blocks_themself(ada):
    assert fault(block(client_of(ada), ada.pk)) == (400, "block_self", "user_id")


def test_an_unknown_user_is_a_404(ada):
    assert fault(block(client_of(ada), new_id())) == (404, "not_found", "user_id")


@pytest.mark.parametrize("path", ["/block_user", "/unblock_user"])
@pytest.mark.parametrize(
    "value", ["", "x", 5, None, True, [], {}, "{0198}", "urn:uuid:0198", "0" * 32]
)
def test_what_is_no_id_is_a_400(ada, path, value):
    response = client_of(ada).post(path, {"user_id": value}, format="json")
    assert response.status_code == 400
    assert response.json()["errors"][0]["attr"] == "user_id"


@pytest.mark.parametrize("path", ["/block_user", "/unblock_user"])
def test_a_missing_id_is_named(ada, path):
    assert fault(client_of(ada).post(path)) == (400, "required", "user_id")


@pytest.mark.parametrize("path", ["/block_user", "/unblock_user"])
def test_it_needs_a_token(anyone, bob, path):
    assert anyone.post(path, {"user_id": str(bob.pk)}, format="json").status_code == 401


def test_unblocking_lifts_the_block(ada, bob):
    client = client_of(ada)
    block(client, bob.pk)
    response = unblock(client, bob.pk)
    assert (response.status_code, response.content) == (204, b"")
    assert not Block.objects.exists()
    assert fault(unblock(client, bob.pk)) == (404, "not_found", "user_id")


def test_nobody_lifts_another_s_block(ada, bob):
    block(client_of(ada), bob.pk)
    assert unblock(client_of(bob), ada.pk).status_code == 404
    assert Block.objects.count() == 1


def test_the_list_is_one_s_own_newest_first(ada, bob):
    others = [make_user() for _ in range(3)]
    client = client_of(ada)
    for other in others:
        block(client, other.pk)
    block(client_of(bob), ada.pk)
    body = client.get("/blocks/").json()
    assert set(body) == {"next", "previous", "results"}
    assert [one["user_id"] for one in body["results"]] == [str(o.pk) for o in reversed(others)]
    assert set(body["results"][0]) == {"user_id", "created_at"}


def test_the_list_costs_one_query(ada, django_assert_num_queries):
    client = client_of(ada)
    for _ in range(5):
        block(client, make_user().pk)
    client.get("/blocks/")
    with django_assert_num_queries(1):
        assert len(client.get("/blocks/").json()["results"]) == 5


def test_the_list_needs_a_token_and_takes_no_writes(ada, anyone):
    assert anyone.get("/blocks/").status_code == 401
    for method in ("post", "put", "patch", "delete"):
        assert getattr(client_of(ada), method)("/blocks/").status_code == 405
    assert client_of(ada).get("/blocks/1/").status_code == 404


def test_the_database_holds_it_too(ada, bob):
    with pytest.raises(IntegrityError), transaction.atomic():
        Block.objects.create(blocker=ada, blocked=ada)
    Block.objects.create(blocker=ada, blocked=bob)
    with pytest.raises(IntegrityError), transaction.atomic():
        Block.objects.create(blocker=ada, blocked=bob)


@pytest.mark.parametrize(
    "path", ["/block_user", "/unblock_user", "/logout", "/users/me/", "/blocks/"]
)
def test_options_describes_the_route_to_who_may_use_it(ada, anyone, path):
    response = client_of(ada).options(path)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert anyone.options(path).status_code == 401


def test_an_answer_in_another_format_is_a_406(ada):
    response = client_of(ada).get("/blocks/", HTTP_ACCEPT="application/xml")
    assert fault(response) == (406, "not_acceptable", None)
