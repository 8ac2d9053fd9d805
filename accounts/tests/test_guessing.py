"""Failed logins: counted by name and address at every door, slowing a name and locking none."""

import hashlib
import re

import pytest
from django.db import OperationalError
from django.test import Client

from accounts import hashers, names, services
from accounts.models import User
from accounts.tests.factories import PASSWORD, client_of, fault, make_user
from audit.models import Action, Entry
from common.cache import cache
from common.tests.limits import about, let_pass, says
from common.tests.servers import at_once, full_cache, paused_cache

# Each request a transaction of its own: hashing takes its time.
pytestmark = pytest.mark.django_db(transaction=True)

HOME, ELSEWHERE = "203.0.113.7", "198.51.100.9"


@pytest.fixture(autouse=True)
def _for_everybody(settings):
    settings.LIMIT_FREE_ADDRESSES = ()
    settings.LIMIT_LOGIN_FAILURES_PER_HOUR = 3
    settings.LIMIT_LOGIN_FAILURES_PER_NAME = 6
    settings.LIMIT_LOGIN_FAILURES_PER_ADDRESS = 10


@pytest.fixture
def ada():
    return make_user("ada", password=PASSWORD)


def login(username="ada", password="wrong", address=HOME, **headers):
    return client_of().post(
        "/login",
        {"username": username, "password": password},
        format="json",
        REMOTE_ADDR=address,
        **headers,
    )


def tries(name):
    return [login(name) for _ in range(4)]


def timeless(content):
    return re.sub(rb"\d{3,4} seconds", b"some seconds", content)


def digest(username):
    return hashlib.sha256(names.key(username).encode()).hexdigest()


def attack(addresses=20, username="ada"):
    """Try a name from so many addresses, as often as each is let; return the statuses."""
    return [
        login(username, address=f"10.0.0.{n}").status_code
        for n in range(addresses)
        for _ in range(4)
    ]


def test_after_so_many_failures_a_name_is_not_tried_from_an_address_for_a_while(ada):
    for _ in range(3):
        assert fault(login()) == (401, "wrong_credentials", None)
    for password in ("wrong", PASSWORD):
        response = login(password=password)
        assert fault(response) == (429, "throttled", None)
        assert about(1200, response["Retry-After"])
        assert says(response, "guesses", 0, 1200)
    let_pass("guesses", f"{digest('ada')}:{HOME}", 1200)
    assert login(password=PASSWORD).status_code == 200


def test_a_name_in_any_form_is_one_name(ada):
    for name in ("ada", "ADA", "\uff41\uff44\uff41"):
        assert login(name).status_code == 401
    assert login("Ada").status_code == 429


def test_a_name_that_nobody_has_is_refused_alike(ada, settings):
    settings.LIMIT_LOGIN_FAILURES_PER_ADDRESS = 0
    make_user("without")
    services.ban_user(user=make_user("banned", password=PASSWORD))
    answers = [
        [(r.status_code, timeless(r.content), sorted(r.headers)) for r in tries(name)]
        for name in ("ada", "nobody", "without", "banned")
    ]
    assert answers[0] == answers[1] == answers[2] == answers[3]
    assert [status for status, _, _ in answers[0]] == [401, 401, 401, 429]


def test_logins_that_work_are_no_failures(ada):
    for _ in range(12):
        assert login(password=PASSWORD).status_code == 200
    assert cache.execute("KEYS", "l:guesses:*") == []


def test_an_address_that_tries_many_names_is_refused(ada):
    for number in range(10):
        assert login(f"name{number}").status_code == 401
    response = login("another")
    assert response.status_code == 429
    assert says(response, "address", 0, 360)
    assert login(password=PASSWORD, address=ELSEWHERE).status_code == 200
    # Refused by one, an attempt takes nothing of another.
    assert not cache.execute("EXISTS", f"l:name:{digest('another')}")


def test_a_hundred_addresses_get_few_tries_at_a_name(ada):
    assert sorted(attack(100)) == [401] * 6 + [429] * 394


def test_nobody_is_locked_out_where_they_have_logged_in_before(ada):
    assert login(password=PASSWORD, address=HOME).status_code == 200
    attack()
    assert login(address=HOME).status_code == 401
    assert login(password=PASSWORD, address=HOME).status_code == 200


def test_nor_for_long_anywhere_else(ada):
    attack()
    response = login(password=PASSWORD, address=ELSEWHERE)
    assert response.status_code == 429
    assert about(600, response["Retry-After"])
    let_pass("name", digest("ada"), 600)
    assert login(password=PASSWORD, address=ELSEWHERE).status_code == 200


def test_who_keeps_trying_a_name_that_is_held_up_uses_up_their_own_tries(ada):
    attack()
    for _ in range(3):
        assert login(address=ELSEWHERE)["RateLimit"].startswith('"name";')
    # Now the name lets one through, and it is not theirs.
    let_pass("name", digest("ada"), 600)
    assert login(address=ELSEWHERE)["RateLimit"].startswith('"guesses";')
    assert login(password=PASSWORD, address="192.0.2.1").status_code == 200


def test_an_ipv6_customer_is_one_address_and_forged_headers_change_nothing(ada):
    for n in range(3):
        assert login(address=f"2001:db8:1:2::{n:x}").status_code == 401
    assert login(address="2001:db8:1:2:ffff::1").status_code == 429
    for n in range(3):
        assert login("bob", HTTP_X_FORWARDED_FOR=f"192.0.2.{n}").status_code == 401
    for forged in ("192.0.2.99", "127.0.0.1", f"{ELSEWHERE}, 127.0.0.1"):
        assert login("bob", HTTP_X_FORWARDED_FOR=forged).status_code == 429


def test_behind_a_proxy_the_address_is_the_clients(ada, settings):
    settings.TRUSTED_PROXIES = 1
    for n in range(4):
        forged = {"HTTP_X_FORWARDED_FOR": f"192.0.2.{n}, {HOME}"}
        status = login(address="10.0.0.1", **forged).status_code
        assert status == (401 if n < 3 else 429)
    other = {"HTTP_X_FORWARDED_FOR": ELSEWHERE}
    assert login(password=PASSWORD, address="10.0.0.1", **other).status_code == 200


def test_a_proxy_that_is_not_counted_is_one_stranger_though_it_is_on_this_machine(ada, settings):
    settings.LIMIT_FREE_ADDRESSES = ("127.0.0.1",)
    settings.LIMIT_REGISTRATIONS_PER_HOUR = 2
    by_proxy = Client(REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR=HOME)
    found = [
        by_proxy.post("/register", {"username": f"u{n}"}, "application/json").status_code
        for n in range(3)
    ]
    assert found == [201, 201, 429]
    handed_on = {"HTTP_X_FORWARDED_FOR": HOME}
    statuses = [login(address="127.0.0.1", **handed_on).status_code for _ in range(4)]
    assert statuses == [401, 401, 401, 429]
    # Who asks from here without a proxy is as free as ever.
    assert login("bob", address="127.0.0.1").status_code == 401
    assert not cache.execute("EXISTS", f"l:guesses:{digest('bob')}:127.0.0.1")


def test_many_at_once_can_not_all_pass(ada):
    statuses = at_once(12, lambda _: login().status_code)
    assert sorted(statuses) == [401] * 3 + [429] * 9


def test_what_fails_for_another_reason_is_not_counted(ada, monkeypatch):
    def fail(**kwargs):
        raise OperationalError("gone")

    monkeypatch.setattr(services, "login", fail)
    for _ in range(5):
        assert login().status_code == 503
    assert login("", "x").status_code == 400
    assert cache.execute("KEYS", "l:guesses:*") == []


def test_at_a_free_address_the_name_alone_counts(ada, settings):
    settings.LIMIT_FREE_ADDRESSES = ("127.0.0.1",)
    for _ in range(6):
        assert login(address="127.0.0.1").status_code == 401
    assert says(login(address="127.0.0.1"), "name", 0, 600)
    assert login("other", address="127.0.0.1").status_code == 401


def test_every_limit_off_asks_no_cache(ada, settings):
    for name in ("PER_HOUR", "PER_NAME", "PER_ADDRESS"):
        setattr(settings, f"LIMIT_LOGIN_FAILURES_{name}", 0)
        setattr(settings, f"LIMIT_LOGINS_{name}", 0)
    with paused_cache():
        assert login(password=PASSWORD).status_code == 200


@pytest.mark.parametrize("path", ["/browse/login/", "/admin/login/"])
def test_the_pages_for_people_count_with_the_api(path):
    make_user("ada", password=PASSWORD, is_staff=True)
    browser = Client(REMOTE_ADDR=HOME, headers={"accept": "text/html"})

    def post(password):
        return browser.post(path, {"username": "ADA", "password": password, "next": "/"})

    assert post("wrong").status_code == 200
    assert login().status_code == 401
    assert post("wrong").status_code == 200
    for _ in range(2):
        response = post(PASSWORD)
        assert response.status_code == 429
        assert about(1200, response["Retry-After"])
        assert f"Try again in {response['Retry-After']} seconds" in response.content.decode()
    let_pass("guesses", f"{digest('ada')}:{HOME}", 1200)
    assert post(PASSWORD).status_code == 302
    assert browser.get(path).status_code in {200, 302}


@pytest.mark.parametrize("path", ["/browse/login/", "/admin/login/"])
@pytest.mark.parametrize(
    "sent",
    [
        {"username": '"' * 7000, "password": "x"},
        {"username": "ada", "password": "p" * 15_000},
        {"username": '"' * 4000, "password": "'" * 1025},
    ],
    ids=["a long name", "a long password", "both"],
)
def test_a_page_hashes_nothing_that_is_too_long_and_says_what_it_always_says(
    path, sent, monkeypatch
):
    make_user("ada", password=PASSWORD, is_staff=True)
    browser = Client(REMOTE_ADDR=HOME, headers={"accept": "text/html"})
    wrong = browser.post(path, {"username": "ada", "password": "wrong"})
    hashed: list[object] = []
    for name in ("encode", "verify"):
        monkeypatch.setattr(
            hashers.Argon2PasswordHasher, name, lambda _self, *args: hashed.append(args)
        )
    refused = browser.post(path, sent)
    assert refused.status_code == wrong.status_code == 200
    assert refused.context["form"].errors == wrong.context["form"].errors
    assert len(refused.content) < len(wrong.content) + 2000
    assert not hashed


def test_a_login_page_repeats_no_long_address():
    browser = Client(REMOTE_ADDR=HOME, headers={"accept": "text/html"})
    page = browser.post(
        "/browse/login/", {"username": "ada", "password": "x", "next": "/" + '"' * 7000}
    )
    assert page.status_code == 200
    assert len(page.content) < 10_000


def test_the_audit_log_tells_once_who_was_held_up_at_the_admin():
    ada = make_user("ada", password=PASSWORD, is_staff=True)
    for _ in range(6):
        Client(REMOTE_ADDR=HOME).post("/admin/login/", {"username": "ada", "password": "x"})
    entry = Entry.objects.get(action=Action.LOCKOUT)
    assert (entry.target_id, entry.address) == (str(ada.pk), HOME)
    assert Entry.objects.filter(action=Action.LOGIN_FAILED).count() == 1
    for _ in range(6):
        Client(REMOTE_ADDR=HOME).post("/admin/login/", {"username": "secret", "password": "x"})
    assert "secret" not in str(list(Entry.objects.values()))


def test_in_a_cache_that_is_full_logins_and_registrations_go_on_and_are_counted(ada, settings):
    settings.LIMIT_REGISTRATIONS_PER_HOUR = 1
    with full_cache():
        assert login(password=PASSWORD).status_code == 200
        assert register(1).status_code == 201
        assert register(2).status_code == 429
        for path in ("/browse/login/", "/admin/login/"):
            response = Client(REMOTE_ADDR=HOME).post(
                path, {"username": "ada", "password": PASSWORD}
            )
            assert response.status_code in {200, 302}
        # The admin's login counts as a failure: ada is no staff.
        for _ in range(2):
            assert login().status_code == 401
        assert login(password=PASSWORD).status_code == 429


def test_without_a_cache_to_count_in_nobody_is_let_try(ada):
    with paused_cache():
        for answer in (login(password=PASSWORD), login("nobody")):
            assert fault(answer) == (503, "limits_unavailable", None)
            assert int(answer["Retry-After"]) > 0
        for path in ("/browse/login/", "/admin/login/"):
            response = Client(REMOTE_ADDR=HOME, headers={"accept": "text/html"}).post(
                path, {"username": "ada", "password": PASSWORD}
            )
            assert response.status_code == 503
            assert int(response["Retry-After"]) > 0
            assert b"can&#x27;t be counted" in response.content
        refused = client_of().post(
            "/register", {"username": "eve"}, format="json", REMOTE_ADDR=HOME
        )
        assert fault(refused) == (503, "limits_unavailable", None)
        assert not User.objects.filter(username="eve").exists()
    assert login(password=PASSWORD).status_code == 200


def register(number, address=HOME):
    return client_of().post(
        "/register", {"username": f"new{number}"}, format="json", REMOTE_ADDR=address
    )


def test_an_address_registers_so_many_in_an_hour(settings):
    settings.LIMIT_REGISTRATIONS_PER_HOUR = 3
    for number in range(3):
        assert register(number).status_code == 201
    response = register(3)
    assert fault(response) == (429, "throttled", None)
    assert about(1200, response["Retry-After"])
    assert response["RateLimit-Policy"] == '"registrations";q=3;w=3600'
    assert register(4, ELSEWHERE).status_code == 201
    let_pass("registrations", HOME, 1200)
    # Names are not to be probed either: one that is taken counts.
    assert register(0).status_code == 409
    assert register(5).status_code == 429
    settings.LIMIT_REGISTRATIONS_PER_HOUR = 0
    assert register(6).status_code == 201


def test_at_a_free_address_registering_needs_no_cache(settings):
    settings.LIMIT_FREE_ADDRESSES = ("127.0.0.1",)
    with paused_cache():
        assert register(1, "127.0.0.1").status_code == 201
