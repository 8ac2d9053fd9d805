"""A process may lose and find the cache as often as it likes."""

import pytest

from common.cache import CacheUnavailable, cache
from common.tests.servers import admin_client, at_once, paused_cache


def test_hundreds_of_reconnections_use_nothing_up():
    for _ in range(300):
        cache.close()
        assert cache.execute("PING") == b"PONG"
    connected = admin_client().info("clients")["connected_clients"]
    assert connected < 100


def test_hundreds_of_threads_use_nothing_up():
    for _ in range(10):
        assert at_once(20, lambda _: cache.execute("PING")) == [b"PONG"] * 20


def test_a_connection_that_the_server_closed_is_opened_again():
    cache.close()
    cache.execute("PING")
    admin_client().client_kill_filter(_type="normal", skipme=True)
    assert cache.execute("PING") == b"PONG"


def test_a_cache_that_hangs_is_left_alone_for_a_moment():
    cache.close()
    with paused_cache():
        for _ in range(2):
            with pytest.raises(CacheUnavailable):
                cache.execute("PING")
    assert cache.execute("PING") == b"PONG"


def test_one_late_answer_does_not_turn_the_process_from_the_cache():
    cache.close()
    cache.execute("PING")
    with paused_cache():
        with pytest.raises(CacheUnavailable):
            cache.execute("PING")
        assert cache.breaker.failures == 1
    assert cache.execute("PING") == b"PONG"


def test_after_two_in_a_row_nobody_waits_for_a_moment():
    cache.close()
    with paused_cache():
        for _ in range(2):
            with pytest.raises(CacheUnavailable):
                cache.execute("PING")
        with pytest.raises(CacheUnavailable, match="a moment ago"):
            cache.execute("PING")
    assert cache.execute("PING") == b"PONG"
