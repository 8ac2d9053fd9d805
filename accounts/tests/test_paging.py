"""Lists in pages: every row once, links that lead on and back, and nothing bad but a 400."""

from base64 import b64decode, b64encode
from itertools import chain
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.views import APIView

from accounts.models import Block
from accounts.tests.factories import client_of, fault, make_user
from common.pagination import CursorPagination

pytestmark = pytest.mark.django_db


@pytest.fixture
def me(db):
    return make_user()


@pytest.fixture
def client(me):
    return client_of(me)


def block(me, count):
    others = [make_user() for _ in range(count)]
    Block.objects.bulk_create([Block(blocker=me, blocked=other) for other in others])
    return [str(other.pk) for other in reversed(others)]


def joined(pages):
    return list(chain.from_iterable(pages))


def walk(client, url, direction="next"):
    pages = []
    while url:
        body = client.get(url).json()
        pages.append([one["user_id"] for one in body["results"]])
        url = body[direction]
    return pages


@pytest.mark.parametrize("limit", [1, 3, 7, 8, 500])
def test_walking_on_gives_every_row_once_in_order(client, me, limit):
    expected = block(me, 7)
    pages = walk(client, f"/blocks/?limit={limit}")
    assert joined(pages) == expected
    assert all(len(page) == limit for page in pages[:-1])


def test_walking_back_gives_them_again(client, me):
    expected = block(me, 7)
    url, last = "/blocks/?limit=3", None
    while url:
        last, url = url, client.get(url).json()["next"]
    pages = walk(client, last, "previous")
    assert joined(reversed(pages)) == expected


def test_rows_that_come_meanwhile_double_and_skip_nothing(client, me):
    expected = block(me, 6)
    first = client.get("/blocks/?limit=3").json()
    block(me, 5)
    rest = walk(client, first["next"])
    assert [one["user_id"] for one in first["results"]] + joined(rest) == expected


def test_a_page_holds_a_hundred_when_not_told(client, me):
    block(me, 101)
    assert [len(page) for page in walk(client, "/blocks/")] == [100, 1]


def test_the_ends_have_no_links(client, me):
    assert client.get("/blocks/").json() == {"next": None, "previous": None, "results": []}
    block(me, 2)
    body = client.get("/blocks/?limit=2").json()
    assert (body["next"], body["previous"]) == (None, None)


def test_links_are_whole_and_keep_what_was_asked(client, me):
    block(me, 3)
    link = urlsplit(client.get("/blocks/?limit=2&other=x").json()["next"])
    assert link.scheme == "http"
    assert link.netloc == "testserver"
    query = parse_qs(link.query)
    assert (query["limit"], query["other"]) == (["2"], ["x"])


@pytest.mark.parametrize(
    "limit",
    ["0", "501", "-1", "1.0", "1e2", "x", "", " 5", "%2B5", "٣", "\uff15", "9" * 400, "null"],
)
def test_a_bad_limit_is_a_400(client, limit):
    assert fault(client.get(f"/blocks/?limit={limit}")) == (400, "invalid", "limit")


def cursor_of(client, me):
    block(me, 3)
    return parse_qs(urlsplit(client.get("/blocks/?limit=1").json()["next"]).query)["cursor"][0]


def encoded(text):
    return b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "%00",
        "====",
        encoded("p=x"),
        encoded("p=1.5"),
        encoded("p="),
        encoded("p=1%00"),
        encoded("o=-1"),
        encoded("o=x"),
        encoded("o=0"),
        encoded("r=x&p=5"),
        encoded("r=2&p=5"),
        encoded("p=5&x=1"),
        encoded("p=5&p=6"),
        encoded("p=5") + "\n",
        encoded("p=55").rstrip("="),
    ],
)
def test_a_bad_cursor_is_a_400(client, me, cursor):
    block(me, 1)
    response = client.get("/blocks/?cursor=" + quote(cursor))
    assert fault(response) == (400, "invalid", "cursor")


def test_a_cursor_past_the_end_is_an_empty_page(client, me):
    block(me, 1)
    for cursor in ("p=0", "r=1&p=" + "9" * 100):
        body = client.get("/blocks/?cursor=" + quote(encoded(cursor))).json()
        assert body["results"] == []


def test_a_cursor_has_one_form(client, me):
    cursor = cursor_of(client, me)
    assert client.get("/blocks/?limit=1&cursor=" + quote(cursor)).status_code == 200
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = cursor.rstrip("=")
    others = {body[:-1] + last + cursor[len(body) :] for last in alphabet} - {cursor}
    same = [
        other
        for other in others
        if b64decode(other) == b64decode(cursor)
        and client.get("/blocks/?limit=1&cursor=" + quote(other)).status_code != 400
    ]
    assert same == []


@given(st.text(max_size=40) | st.binary(max_size=30).map(lambda raw: b64encode(raw).decode()))
@settings(max_examples=200)
def test_no_cursor_is_ever_a_5xx(client_and_user, cursor):
    client, _ = client_and_user
    response = client.get("/blocks/", {"cursor": cursor.encode("utf-8", "replace").decode()})
    assert response.status_code in {200, 400}


@pytest.fixture(scope="module")
def client_and_user(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        user = make_user("reader of pages")
        client = client_of(user)
        client.get("/blocks/")
        yield client, user
        user.tokens.all().delete()
        user.delete()


def test_the_schema_page_knows_both_parameters():
    names = {one["name"] for one in CursorPagination().get_schema_operation_parameters(APIView())}
    assert names == {"cursor", "limit"}
