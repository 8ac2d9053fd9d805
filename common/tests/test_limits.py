"""Counting: how many go at once, when the next may come, and what answers say of it."""

import pytest

from common.cache import cache
from common.limits import ALL, DAY, HOUR, MINUTE, SENDS, Limit, NotCounted, Throttled
from common.tests.limits import key_of, let_pass
from common.tests.servers import at_once, full_cache, paused_cache

LIMIT = Limit("tries", "LIMIT_REPORTS_PER_HOUR", MINUTE, "tries")


@pytest.fixture(autouse=True)
def _three_a_minute(settings):
    settings.LIMIT_REPORTS_PER_HOUR = 3
    cache.close()
    cache.execute("FLUSHDB")
    yield
    cache.close()


def took(limit=LIMIT, who="ada", **how):
    taken = limit.take(who, **how)
    assert taken is not None
    return taken


def refused(**how):
    with pytest.raises(Throttled) as caught:
        LIMIT.take("ada", **how)
    return caught.value


def left(**how):
    taken = took(**how)
    return taken.left, -(-taken.wait_ms // 1000)


def test_a_whole_quota_goes_at_once_and_then_one_each_third_of_the_window():
    assert [left() for _ in range(3)] == [(2, 20), (1, 20), (0, 20)]
    assert refused().wait == 20
    let_pass("tries", "ada", 19.5)
    assert refused().wait == 1
    let_pass("tries", "ada", 0.5)
    assert left() == (0, 20)
    assert refused().wait == 20


def test_after_the_window_the_quota_is_whole():
    for _ in range(3):
        LIMIT.take("ada")
    let_pass("tries", "ada", 60)
    assert left() == (2, 20)
    for _ in range(2):
        LIMIT.take("ada")
    assert refused().wait == 20
    # And nothing is kept of who does nothing.
    assert 59_000 < cache.execute("PTTL", key_of("tries", "ada")) <= 60_000


def test_refusals_take_nothing():
    for _ in range(3):
        LIMIT.take("ada")
    before = cache.execute("GET", key_of("tries", "ada"))
    for _ in range(50):
        refused()
    assert cache.execute("GET", key_of("tries", "ada")) == before


def test_everybody_has_their_own():
    for _ in range(3):
        LIMIT.take("ada")
    refused()
    assert took(who="bob").left == 2
    assert took(Limit("others", LIMIT.setting, MINUTE, "others")).left == 2


def test_some_cost_more():
    assert left(cost=2) == (1, 20)
    assert refused(cost=2).wait == 20
    assert left() == (0, 20)
    assert refused(cost=3).wait == 60


@pytest.mark.parametrize("quota", [1, 7, 60, 600, 99_999])
def test_all_quotas_are_exact(settings, quota):
    settings.LIMIT_REPORTS_PER_HOUR = quota
    # So long a window that nothing comes back meanwhile.
    limit = Limit("exact", "LIMIT_REPORTS_PER_HOUR", 10**6 * DAY, "tries")
    for number in range(1, min(quota, 300) + 1):
        assert took(limit).left == quota - number
    if quota < 300:
        with pytest.raises(Throttled):
            limit.take("ada")


def test_a_hundred_at_once_get_the_quota_and_no_more(settings):
    settings.LIMIT_REPORTS_PER_HOUR = 40

    def take(number):
        try:
            return Limit("racing", "LIMIT_REPORTS_PER_HOUR", HOUR, "tries").take("ada") is not None
        except Throttled:
            return False

    assert sum(at_once(100, take)) == 40


def test_zero_is_no_limit(settings):
    settings.LIMIT_REPORTS_PER_HOUR = 0
    assert LIMIT.take("ada") is None
    assert not cache.execute("EXISTS", key_of("tries", "ada"))


def test_a_lower_limit_and_a_clock_that_was_set_back_refuse_for_a_window_at_most(settings):
    cache.execute("SET", key_of("tries", "ada"), "9999999999999")
    assert refused().wait == 20
    for text in ("nonsense", "", "-1"):
        cache.execute("SET", key_of("tries", "ada"), text)
        assert left() == (2, 20)


def test_the_headers_say_it(settings):
    assert took().headers() == {
        "RateLimit-Policy": '"tries";q=3;w=60',
        "RateLimit": '"tries";r=2;t=20',
    }
    LIMIT.take("ada")
    LIMIT.take("ada")
    assert refused().headers["RateLimit"] == '"tries";r=0;t=20'
    settings.LIMIT_REPORTS_PER_HOUR = 600
    assert took(who="bob").headers()["RateLimit"] == '"tries";r=599;t=1'


def test_a_refusal_says_what_is_allowed_and_when():
    for _ in range(3):
        LIMIT.take("ada")
    assert str(refused().detail) == (
        "That is too often: 3 tries a minute are allowed. Try again in 20 seconds."
    )
    assert refused().get_codes() == "throttled"


@pytest.mark.parametrize("must", [False, True])
def test_a_full_cache_counts(must):
    with full_cache():
        taken = [LIMIT.take("ada", must=must) for _ in range(3)]
        assert [one and one.left for one in taken] == [2, 1, 0]
        assert refused().wait


def test_what_can_not_be_counted_goes_on_unless_it_must_be():
    with paused_cache():
        taken = [LIMIT.take("ada") for _ in range(5)]
        assert all(one is None or one.left >= 0 for one in taken)
        with pytest.raises(NotCounted) as caught:
            LIMIT.take("ada", must=True)
    assert caught.value.status_code == 503
    assert caught.value.wait


def test_every_limit_has_a_setting_and_a_name_of_its_own():
    settings = [limit.setting for name, limit in ALL.items() if name != "recovery_codes"]
    assert len(set(settings)) == len(settings)
    # Codes of either kind are counted apart, by one quota.
    assert ALL["recovery_codes"].setting == ALL["codes"].setting
    assert all(limit.quota > 0 for limit in ALL.values())
    assert ALL["sends"] is SENDS
