"""When a token was last used is known to the minute, and costs a request no write."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from accounts import services, tokens
from accounts.authentication import authenticate_token
from accounts.models import Token
from accounts.tasks import save_last_used
from accounts.tests.factories import make_token, make_user
from common.cache import cache
from common.tests.servers import at_once, monitored_cache, paused_cache

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def token(transactional_db):
    return make_token(make_user())


def entry(token):
    return tokens.entry_key(tokens.digest(token))


def make_digest():
    return tokens.digest(tokens.new_token())


def noted():
    return dict(cache.execute("HGETALL", "touched"))


def last_used(token):
    return Token.objects.get(digest=tokens.digest(token)).last_used_at


def test_it_is_saved_by_the_task_not_by_the_request(token):
    before = timezone.now() - timedelta(seconds=1)
    authenticate_token(token)
    assert last_used(token) is None
    assert save_last_used() == 1
    assert before < last_used(token) < timezone.now() + timedelta(seconds=1)
    assert noted() == {}
    assert save_last_used() == 0


def test_it_is_noted_once_a_minute(token):
    authenticate_token(token)
    cache.execute("DEL", "touched")
    with monitored_cache() as asked:
        authenticate_token(token)
    assert len(asked) == 1
    assert noted() == {}
    cache.execute("HINCRBY", entry(token), "used", -60_001)
    authenticate_token(token)
    assert list(noted()) == [tokens.digest(token).hex().encode()]


def test_a_use_during_the_task_is_left_for_the_next(token, monkeypatch):
    authenticate_token(token)
    save = services.save_last_used
    later = int(time.time() * 1000) + 90_000

    def save_while_it_is_used_again(*, uses):
        saved = save(uses=uses)
        cache.execute("HSET", "touched", tokens.digest(token).hex(), later)
        return saved

    monkeypatch.setattr(services, "save_last_used", save_while_it_is_used_again)
    save_last_used()
    monkeypatch.undo()
    assert list(noted().values()) == [str(later).encode()]
    save_last_used()
    assert last_used(token) == datetime.fromtimestamp(later / 1000, UTC)


@pytest.mark.parametrize("step", ["save_last_used", "drop_uses"])
def test_a_task_that_dies_loses_nothing(token, monkeypatch, step):
    authenticate_token(token)

    def die(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(services if step == "save_last_used" else tokens, step, die)
    with pytest.raises(KeyboardInterrupt):
        save_last_used()
    monkeypatch.undo()
    assert len(noted()) == 1
    assert save_last_used() == 1
    assert last_used(token) is not None
    assert noted() == {}


def test_times_only_move_forward(token):
    digest = tokens.digest(token)
    services.save_last_used(uses=[(digest, 2_000_000_000_000), (digest, 1_000)])
    services.save_last_used(uses=[(digest, 1_000_000_000_000)])
    assert last_used(token) == datetime.fromtimestamp(2_000_000_000, UTC)


def test_tokens_that_are_gone_are_no_trouble(token):
    cache.execute("HSET", "touched", "00" * 32, 5)
    assert save_last_used() == 0
    assert noted() == {}


def test_a_cache_that_is_away_is_no_trouble(token):
    authenticate_token(token)
    with paused_cache():
        assert save_last_used() == 0
    assert save_last_used() == 1


def test_thousands_are_saved_in_portions(token, django_assert_max_num_queries):
    user = make_user()
    digests = [n.to_bytes(32, "big") for n in range(2500)]
    Token.objects.bulk_create([Token(user=user, digest=one) for one in digests])
    cache.execute("HSET", "touched", *[part for one in digests for part in (one.hex(), 5_000)])
    with django_assert_max_num_queries(20):
        assert save_last_used() == 2500
    assert Token.objects.filter(last_used_at=datetime.fromtimestamp(5, UTC)).count() == 2500
    assert noted() == {}


def test_two_tasks_and_revocations_at_once_do_not_lock_each_other(token):
    user = make_user()
    digests = [n.to_bytes(32, "big") for n in range(300)]
    # Their rows lie in the order of the digests; both sides must agree on one, whatever is asked.
    Token.objects.bulk_create([Token(user=user, digest=one) for one in digests])
    others = [make_user() for _ in range(10)]
    Token.objects.bulk_create(
        [Token(user=other, digest=make_digest()) for other in others for _ in range(100)]
    )
    digests += [bytes(token.digest) for token in Token.objects.exclude(user=user)]

    def act(number):
        for other in others:
            if number == 0:
                services.revoke_tokens(user=other)
            else:
                order = digests if number % 2 else digests[::-1]
                services.save_last_used(uses=[(one, 1000) for one in order])

    at_once(5, act)
