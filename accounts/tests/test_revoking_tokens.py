"""A revoked token is refused everywhere within five seconds, whatever fails meanwhile."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from accounts import selectors, services, tokens
from accounts.authentication import authenticate_token
from accounts.models import Token
from accounts.tests.factories import client_of, make_token, make_user
from common.cache import cache
from common.tests.servers import admin_client, at_once, paused_cache

pytestmark = pytest.mark.django_db(transaction=True)

PROMISE_SECONDS = 5


@pytest.fixture
def user(transactional_db):
    return make_user("ada")


@pytest.fixture
def token(user):
    return make_token(user)


def entry(token):
    return tokens.entry_key(tokens.digest(token))


def revoke_as_a_process_that_dies_at_once(token):
    """The row is committed, the cache is not told."""
    Token.objects.filter(digest=tokens.digest(token)).update(revoked_at=Now())


def sweep(generation="g", age_ms=0):
    """Leave what a sweeper leaves that is on time, or late by so much."""
    seconds, micros = cache.execute("TIME")
    now = int(seconds) * 1000 + int(micros) // 1000
    cache.execute("HSET", "fresh", "gen", generation, "ms", now - age_ms)


def age_entry(token, by_ms):
    cache.execute("HINCRBY", entry(token), "ms", -by_ms)


def test_logging_out_revokes_this_token_alone(user):
    one, other = client_of(user), client_of(user)
    assert [client.get("/users/me/").status_code for client in (one, other)] == [200, 200]
    response = one.post("/logout")
    assert (response.status_code, response.content) == (204, b"")
    assert [client.get("/users/me/").status_code for client in (one, other)] == [401, 200]
    assert one.post("/logout").status_code == 401


def test_all_tokens_of_a_user_go_at_once(user):
    clients = [client_of(user) for _ in range(3)]
    bystander = client_of(make_user())
    for client in [*clients, bystander]:
        client.get("/users/me/")
    assert services.revoke_tokens(user=user) == 3
    assert {client.get("/users/me/").status_code for client in clients} == {401}
    assert bystander.get("/users/me/").status_code == 200
    assert services.revoke_tokens(user=user) == 0


def test_nothing_is_forgotten_before_the_commit(user, token):
    authenticate_token(token)
    from django.db import transaction

    with transaction.atomic():
        services.logout(digest=tokens.digest(token))
        assert cache.execute("EXISTS", entry(token))
    assert not cache.execute("EXISTS", entry(token))


def test_a_reader_who_read_before_the_revocation_fills_nothing(user, token, monkeypatch):
    read, go_on = threading.Event(), threading.Event()
    real = selectors.token_holder

    def read_then_wait(digest):
        holder = real(digest)
        read.set()
        assert go_on.wait(10)
        return holder

    answers = []

    def reader():
        try:
            answers.append(authenticate_token(token))
        finally:
            connection.close()

    monkeypatch.setattr(selectors, "token_holder", read_then_wait)
    thread = threading.Thread(target=reader)
    thread.start()
    assert read.wait(10)
    services.logout(digest=tokens.digest(token))
    go_on.set()
    thread.join(10)
    monkeypatch.undo()
    # It came in before the revocation, and that is all it can have.
    assert answers == [user.pk]
    assert not cache.execute("EXISTS", entry(token))
    assert authenticate_token(token) is None


def test_a_lease_that_ran_out_fills_nothing(user, token, monkeypatch):
    real = selectors.token_holder

    def slow(digest):
        holder = real(digest)
        cache.execute("DEL", tokens.lease_key(digest))
        return holder

    monkeypatch.setattr(selectors, "token_holder", slow)
    assert authenticate_token(token) == user.pk
    assert not cache.execute("EXISTS", entry(token))


def test_a_slow_fill_is_believed_no_longer_than_a_quick_one(user, token, monkeypatch):
    real = selectors.token_holder
    moments = []

    def slow(digest):
        seconds, micros = cache.execute("TIME")
        moments.append(int(seconds) * 1000 + int(micros) // 1000)
        holder = real(digest)
        time.sleep(0.05)
        return holder

    monkeypatch.setattr(selectors, "token_holder", slow)
    authenticate_token(token)
    assert int(cache.execute("HGET", entry(token), "ms")) <= moments[0]


def test_readers_who_miss_at_once_share_a_lease(user, token):
    assert set(at_once(8, lambda _: authenticate_token(token))) == {user.pk}
    assert cache.execute("EXISTS", entry(token))
    assert not cache.execute("EXISTS", tokens.lease_key(tokens.digest(token)))


def test_readers_and_a_revocation_at_once_end_with_nothing_cached(user):
    for _ in range(20):
        token = make_token(user)

        def act(number, token=token):
            if number == 0:
                return services.logout(digest=tokens.digest(token))
            return authenticate_token(token)

        at_once(6, act)
        assert not cache.execute("EXISTS", entry(token))
        assert authenticate_token(token) is None


def test_a_revocation_that_never_told_the_cache_is_believed_for_seconds_only(user, token):
    authenticate_token(token)
    revoke_as_a_process_that_dies_at_once(token)
    assert authenticate_token(token) == user.pk
    age_entry(token, tokens.TOKEN_BELIEF_MS + 1)
    assert authenticate_token(token) is None


def test_the_sweeper_vouches_for_older_entries(user, token, django_assert_num_queries):
    sweep()
    authenticate_token(token)
    age_entry(token, 3_600_000)
    sweep()
    with django_assert_num_queries(0):
        assert authenticate_token(token) == user.pk


def test_a_late_sweeper_vouches_for_nothing(user, token, django_assert_num_queries):
    sweep()
    authenticate_token(token)
    age_entry(token, 3_600_000)
    sweep(age_ms=tokens.TOKEN_BELIEF_MS + 50)
    with django_assert_num_queries(1):
        assert authenticate_token(token) == user.pk


def test_another_generation_vouches_for_nothing(user, token, django_assert_num_queries):
    sweep("one")
    authenticate_token(token)
    age_entry(token, 3_600_000)
    sweep("two")
    with django_assert_num_queries(1):
        assert authenticate_token(token) == user.pk


def test_an_entry_filled_before_there_was_a_generation_is_of_none(user, token):
    authenticate_token(token)
    age_entry(token, 3_600_000)
    revoke_as_a_process_that_dies_at_once(token)
    sweep("g")
    assert authenticate_token(token) is None


def test_what_the_sweeper_needs_is_what_was_revoked_lately(user, token):
    before = timezone.now() - timedelta(seconds=1)
    other = make_token(user)
    services.logout(digest=tokens.digest(token))
    assert selectors.tokens_revoked_since(before) == [tokens.digest(token)]
    assert selectors.tokens_revoked_since(timezone.now() + timedelta(seconds=1)) == []
    assert tokens.digest(other) not in selectors.tokens_revoked_since(before)


def test_the_sweeper_deletes_entry_and_lease(user, token):
    sweep()
    authenticate_token(token)
    revoke_as_a_process_that_dies_at_once(token)
    cache.execute("SET", tokens.lease_key(tokens.digest(token)), "a reader's")
    assert tokens.forget(selectors.tokens_revoked_since(timezone.now() - timedelta(minutes=1)))
    assert not cache.execute("EXISTS", entry(token), tokens.lease_key(tokens.digest(token)))
    assert authenticate_token(token) is None


def test_forgetting_nothing_asks_nothing():
    with paused_cache():
        assert tokens.forget([])
        assert not tokens.forget([b"x" * 32])


def test_a_revocation_with_the_cache_hanging_is_quick_and_holds_when_it_is_back(user, token):
    """As another process sees it, whose connection to the cache works the moment it is back.

    The revoking process has found the cache away just before, so it doesn't even try to tell it.
    """
    sweep()
    authenticate_token(token)
    with paused_cache():
        assert not tokens.forget([b"another".ljust(32)])
        start = time.monotonic()
        services.ban_user(user=user)
        revoked = time.monotonic()
        assert revoked - start < 1
        assert authenticate_token(token) is None
    # Which has not asked for it meanwhile.
    tokens.unknown.clear()
    assert authenticate_token(token) == user.pk  # for this long, and no longer
    while authenticate_token(token) is not None:
        assert time.monotonic() - revoked < PROMISE_SECONDS
        time.sleep(0.05)
    assert time.monotonic() - revoked < PROMISE_SECONDS
    assert authenticate_token(token) is None


def test_a_revocation_holds_where_the_cache_is_down_for_good(user, token):
    authenticate_token(token)
    with paused_cache():
        services.logout(digest=tokens.digest(token))
        assert authenticate_token(token) is None


def test_a_revoked_token_stays_revoked_when_the_cache_comes_back_with_old_contents(user, token):
    sweep()
    authenticate_token(token)
    dump = admin_client().dump(entry(token))
    assert dump
    services.logout(digest=tokens.digest(token))
    # What a restart from an old snapshot brings back, later than what is believed by itself.
    admin_client().restore(entry(token), 0, dump)
    age_entry(token, tokens.TOKEN_BELIEF_MS + 1)
    sweep("after the restart")
    assert authenticate_token(token) is None
