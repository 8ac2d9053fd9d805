"""Bearer tokens: what is taken, what is refused, and what it costs."""

from datetime import timedelta
from time import monotonic
from uuid import UUID

import pytest
from django.utils import timezone

from accounts import tokens
from accounts.authentication import Caller, authenticate_token, bearer_token
from accounts.models import Token
from accounts.tests.factories import client_of, fault, make_token, make_user
from common.cache import cache
from common.tests.servers import full_cache, monitored_cache, paused_cache

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(db):
    return make_user("ada")


@pytest.fixture
def token(user):
    return make_token(user)


def test_a_token_names_its_user(user, token):
    assert authenticate_token(token) == user.pk
    assert isinstance(authenticate_token(token), UUID)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_the_scheme_may_be_in_any_case(user, token, scheme):
    client = client_of()
    client.credentials(HTTP_AUTHORIZATION=f"{scheme} {token}")
    assert client.get("/users/me/").status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Basic YTpi",
        "Token abc",
        "Bearer nonsense",
        "Bearer " + "x" * 43,
        "Bearer " + "x" * 5000,
        "Bearer \u00e9\u00ff",
        "Bearer \x00",
    ],
)
def test_no_or_a_bad_token_is_a_401(user, token, header):
    client = client_of()
    client.credentials(HTTP_AUTHORIZATION=header)
    response = client.get("/users/me/")
    assert fault(response) == (401, "authentication_failed", None)
    assert response["WWW-Authenticate"] == "Bearer"


def test_no_header_at_all_is_a_401(anyone):
    response = anyone.get("/users/me/")
    assert fault(response) == (401, "not_authenticated", None)
    assert response["WWW-Authenticate"] == "Bearer"


def test_a_digest_is_no_token(user, token):
    for form in (tokens.digest(token).hex(), "t:" + tokens.digest(token).hex()):
        assert authenticate_token(form) is None


def test_an_expired_token_is_refused(user, token):
    Token.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert authenticate_token(token) is None


def test_a_token_that_expires_while_it_is_cached_is_refused(user, token):
    Token.objects.update(expires_at=timezone.now() + timedelta(hours=1))
    assert authenticate_token(token) == user.pk
    key = tokens.entry_key(tokens.digest(token))
    assert 3_500_000 < cache.execute("PTTL", key) <= 3_600_000
    cache.execute("HSET", key, "exp", 1)
    Token.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert authenticate_token(token) is None


def test_an_entry_lives_a_day_at_most(token):
    authenticate_token(token)
    left = cache.execute("PTTL", tokens.entry_key(tokens.digest(token)))
    assert 86_000_000 < left <= 86_400_000


def test_a_known_token_costs_one_round_trip_and_no_query(user, token, django_assert_num_queries):
    with monitored_cache() as asked, django_assert_num_queries(1):
        authenticate_token(token)
    assert len(asked) == 2  # asked for, and filled
    with monitored_cache() as asked, django_assert_num_queries(0):
        assert authenticate_token(token) == user.pk
    assert len(asked) == 1


def test_an_unknown_token_costs_one_round_trip_and_one_query(user, django_assert_num_queries):
    with monitored_cache() as asked, django_assert_num_queries(1):
        assert authenticate_token("u" * 43) is None
    assert len(asked) == 1


def test_and_nothing_when_it_is_sent_again(user, django_assert_num_queries):
    authenticate_token("v" * 43)
    with monitored_cache() as asked, django_assert_num_queries(0):
        assert authenticate_token("v" * 43) is None
    assert asked == []


def test_what_was_unknown_is_asked_for_again_in_a_while(user, token, monkeypatch):
    text = "w" * 43
    assert authenticate_token(text) is None
    # As a restored database has it again.
    Token.objects.update(digest=tokens.digest(text))
    assert authenticate_token(text) is None
    now = monotonic()
    monkeypatch.setattr("accounts.tokens.monotonic", lambda: now + tokens.UNKNOWN_SECONDS)
    assert authenticate_token(text) == user.pk


def test_few_are_remembered_however_many_are_sent(monkeypatch):
    monkeypatch.setattr(tokens, "UNKNOWN_MOST", 3)
    memory = type(tokens.unknown)()
    for number in range(10):
        memory.add(bytes([number]))
    assert [number for number in range(10) if bytes([number]) in memory] == [7, 8, 9]


def test_what_can_be_no_token_costs_nothing(user, django_assert_num_queries):
    with monitored_cache() as asked, django_assert_num_queries(0):
        assert authenticate_token("x" * 201) is None
        assert authenticate_token("") is None
    assert asked == []


def test_with_the_cache_hanging_it_costs_one_query(user, token, django_assert_num_queries):
    authenticate_token(token)
    with paused_cache():
        for _ in range(3):
            with django_assert_num_queries(1):
                assert authenticate_token(token) == user.pk
        with django_assert_num_queries(1):
            assert authenticate_token("h" * 43) is None


def test_tokens_have_room_in_a_cache_that_is_full(user, token, django_assert_num_queries):
    with full_cache():
        with django_assert_num_queries(1):
            assert authenticate_token(token) == user.pk
        cache.execute("HDEL", tokens.TOUCHED_KEY, tokens.digest(token).hex())
        with django_assert_num_queries(0):
            assert authenticate_token(token) == user.pk


def test_a_cache_that_lost_everything_is_filled_again(user, token, django_assert_num_queries):
    authenticate_token(token)
    cache.execute("FLUSHALL")
    with django_assert_num_queries(1):
        assert authenticate_token(token) == user.pk
    with django_assert_num_queries(0):
        assert authenticate_token(token) == user.pk


def test_the_caller_is_fetched_only_when_asked_for_more_than_the_id(
    user, django_assert_num_queries
):
    caller = Caller(user.pk)
    with django_assert_num_queries(0):
        assert (caller.pk, caller.id, caller.is_authenticated) == (user.pk, user.pk, True)
        assert caller == user
        assert hash(caller) == hash(user)
    with django_assert_num_queries(1):
        assert caller.username == "ada"
        assert caller.display_name == "ada"
    with pytest.raises(AttributeError):
        _ = caller.no_such_thing


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer\tabc", None),
        (" Bearer abc ", "abc"),
        ("Bearer abc def", None),
        ("Bearerabc", None),
        ("abc", None),
    ],
)
def test_a_header_has_one_form(header, token):
    assert bearer_token(header) == token
