"""What strangers cause is an entry a minute and address at most, with a number of how often."""

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from audit import repeated
from audit.actors import Actor
from audit.models import Action, ActorKind, Entry
from audit.repeated import record_repeated
from audit.services import Target
from audit.tasks import record_repeated as task
from common.cache import cache
from common.tests.servers import full_cache, paused_cache

pytestmark = pytest.mark.django_db(transaction=True)

HERE, THERE = "203.0.113.7", "198.51.100.9"
ADA = Target("user", "1", "ada")


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.close()
    cache.execute("FLUSHDB")
    repeated._alone.clear()
    yield
    cache.close()


def stranger(address=HERE):
    return Actor(ActorKind.NOBODY, "", address=address)


def fail(times=1, address=HERE, target=ADA, action=Action.LOGIN_FAILED, **fields):
    for _ in range(times):
        record_repeated(action, by=stranger(address), target=target, **fields)


def pass_a_minute(address=HERE, action=Action.LOGIN_FAILED):
    cache.execute("DEL", f"audit:window:{action}:{address}")


def entries():
    return list(Entry.objects.order_by("pk"))


def test_the_first_is_an_entry_at_once_and_the_rest_one_with_their_number():
    fail(10, reason="why")
    (first,) = entries()
    assert (first.action, first.target_name, first.address) == ("login_failed", "ada", HERE)
    assert (first.reason, first.after) == ("why", None)
    assert task() == 0  # the address had its entry of this minute
    pass_a_minute()
    assert task() == 1
    counted = entries()[1]
    assert (counted.action, counted.target_name, counted.address) == ("login_failed", "ada", HERE)
    assert counted.after == {"times": 9, "targets": {"ada": 9}}
    pass_a_minute()
    assert task() == 0


def test_each_address_and_each_action_has_its_own():
    fail(3)
    fail(3, address=THERE)
    fail(3, action=Action.LOCKOUT)
    assert [(one.action, one.address) for one in entries()] == [
        ("login_failed", HERE),
        ("login_failed", THERE),
        ("lockout", HERE),
    ]


def test_many_names_of_one_address_are_one_entry_that_names_ten():
    for n in range(15):
        fail(target=Target("user", str(n), f"user{n}"))
    pass_a_minute()
    task()
    counted = entries()[1]
    assert counted.after["times"] == 14
    assert len(counted.after["targets"]) == 10
    assert counted.target_name == ""


def test_many_addresses_together_have_so_many_a_minute():
    for n in range(200):
        fail(address=f"10.0.0.{n}")
    assert 60 <= len(entries()) <= 62  # one a second comes back
    before = len(entries())
    assert task() <= 60
    assert len(entries()) - before <= 60
    while task():
        pass
    assert sum((one.after or {"times": 1})["times"] for one in entries()) == 200


def test_what_is_counted_takes_little_of_the_cache(monkeypatch):
    monkeypatch.setattr(repeated, "KINDS_HELD", 5)
    for n in range(90):
        fail(address=f"10.0.0.{n}")
    assert cache.execute("HLEN", repeated.HELD_KEY) <= 6
    while task():
        pass
    assert sum((one.after or {"times": 1})["times"] for one in entries()) == 90
    assert Entry.objects.filter(action=Action.REPEATED).exists()


def test_what_is_counted_while_it_is_written_stays_for_the_next():
    fail(3)
    held = cache.execute("HGETALL", repeated.HELD_KEY)
    fail(2)
    repeated._drop_held([repeated.HELD_KEY], [value for pair in held.items() for value in pair])
    assert cache.execute("HVALS", repeated.HELD_KEY) == [b"2"]


def test_without_a_cache_a_process_writes_one_a_minute():
    with paused_cache():
        fail(5)
        assert len(entries()) == 1
        assert task() == 0


def test_a_thousand_refused_logins_of_the_admin_are_one_entry(settings):
    settings.LIMIT_FREE_ADDRESSES = ()
    settings.LIMIT_LOGIN_FAILURES_PER_ADDRESS = 2
    settings.LIMIT_VISITS_PER_MINUTE = 0
    get_user_model().objects.create_superuser("root")
    browser = Client(REMOTE_ADDR=HERE)
    statuses = [
        browser.post(
            "/admin/login/", {"username": name, "password": "x"}, HTTP_ACCEPT="text/html"
        ).status_code
        for name in ("root", *(f"name{n}" for n in range(40)))
    ]
    assert statuses == [200] * 2 + [429] * 39
    assert [(one.action, one.target_name) for one in entries()] == [
        ("login_failed", "root"),
        ("lockout", ""),
    ]
    pass_a_minute(action=Action.LOCKOUT)
    task()
    assert entries()[-1].action == "lockout"
    assert entries()[-1].after["times"] == 38
    assert "name7" not in str([one.__dict__ for one in entries()])


def test_in_a_cache_that_is_full_they_are_counted_as_ever():
    fail()
    with full_cache():
        fail(5)
        assert len(entries()) == 1
        assert task() == 0  # written once there is room again
    pass_a_minute()
    assert task() == 1
    assert entries()[1].after == {"times": 5, "targets": {"ada": 5}}
