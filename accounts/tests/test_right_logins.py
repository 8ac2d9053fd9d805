"""Right logins: each costs a hash, so they are limited too, and keep nobody else out."""

import pytest
from django.test import Client

from accounts import hashers, services
from accounts.tests.factories import PASSWORD, client_of, fault, make_user
from accounts.tests.test_guessing import digest
from common.cache import cache
from common.tests.limits import about, let_pass, says
from common.tests.servers import at_once

pytestmark = pytest.mark.django_db(transaction=True)

HOME, ELSEWHERE = "203.0.113.7", "198.51.100.9"
NEXT = "eleven white swans"


@pytest.fixture(autouse=True)
def _for_everybody(settings):
    settings.LIMIT_FREE_ADDRESSES = ()
    settings.LIMIT_LOGINS_PER_HOUR = 5
    settings.LIMIT_LOGINS_PER_ADDRESS = 8
    settings.LIMIT_LOGINS_PER_NAME = 6


@pytest.fixture
def ada():
    return make_user("ada", password=PASSWORD, is_staff=True)


@pytest.fixture
def hashed(monkeypatch):
    """The passwords that are hashed from now on."""
    found = []
    real = hashers.Argon2PasswordHasher.verify

    def verify(self, password, encoded):
        found.append(password)
        return real(self, password, encoded)

    monkeypatch.setattr(hashers.Argon2PasswordHasher, "verify", verify)
    return found


def login(username="ada", password=PASSWORD, address=HOME):
    return client_of().post(
        "/login", {"username": username, "password": password}, format="json", REMOTE_ADDR=address
    )


def statuses(times, *args, **kwargs):
    return [login(*args, **kwargs).status_code for _ in range(times)]


def test_a_name_logs_in_so_often_from_an_address(ada):
    assert statuses(5) == [200] * 5
    response = login()
    assert fault(response) == (429, "throttled", None)
    assert says(response, "logins", 0, 720)
    assert about(720, response["Retry-After"])
    let_pass("logins", f"{digest('ada')}:{HOME}", 720)
    assert statuses(2) == [200, 429]
    assert login(address=ELSEWHERE).status_code == 200


def test_a_refusal_hashes_nothing(ada, hashed):
    statuses(5)
    hashed.clear()
    assert statuses(3) == [429] * 3
    assert hashed == []


def test_many_at_once_can_not_all_pass(ada):
    found = at_once(12, lambda _: login().status_code)
    assert sorted(found) == [200] * 5 + [429] * 7


def test_an_address_that_logs_many_names_in_is_refused_but_for_those_known_there(ada, settings):
    settings.LIMIT_LOGINS_PER_NAME = 0
    settings.LIMIT_LOGINS_PER_HOUR = 10
    assert login().status_code == 200
    for name in ("bob", "eve"):
        make_user(name, password=PASSWORD)
        statuses(5, name)
    response = login("eve")
    assert response.status_code == 429
    make_user("new", password=PASSWORD)
    assert says(login("new"), "address_logins", 0, 450)
    # Whoever has logged in here before does so once more, and is not refused by their neighbours.
    assert login().status_code == 200
    assert login("new", address=ELSEWHERE).status_code == 200
    let_pass("address_logins", HOME, 450)
    assert login("new").status_code == 200


def test_who_keeps_trying_where_the_address_has_none_left_uses_up_their_own(ada, settings):
    settings.LIMIT_LOGINS_PER_ADDRESS = 1
    make_user("bob", password=PASSWORD)
    make_user("eve", password=PASSWORD)
    assert login().status_code == 200
    for _ in range(5):
        assert says(login("eve"), "address_logins", 0, 3600)
    let_pass("address_logins", HOME, 3600)
    assert says(login("eve"), "logins", 0, 720)
    assert login("bob").status_code == 200


def test_a_name_logs_in_so_often_from_new_addresses_and_always_where_it_is_known(ada):
    assert login(address=HOME).status_code == 200
    found = [login(address=f"10.0.0.{n}").status_code for n in range(8)]
    assert found == [200] * 5 + [429] * 3
    assert says(login(address="10.0.0.7"), "name_logins", 0, 600)
    assert login(address=HOME).status_code == 200


def test_wrong_passwords_take_none_of_the_right_ones(ada):
    for _ in range(8):
        assert login(password="wrong").status_code == 401
    assert cache.execute("KEYS", "l:*logins:*") == []
    assert statuses(2) == [200, 200]


def test_right_ones_take_none_of_the_failures(ada):
    statuses(5)
    keys = b" ".join(cache.execute("KEYS", "l:*")).decode()
    assert "l:guesses" not in keys
    assert "l:address:" not in keys
    assert "l:name:" not in keys


def test_what_fails_for_another_reason_is_neither(ada, monkeypatch):
    def fail(**kwargs):
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(services, "login", fail)
        for _ in range(3):
            with pytest.raises(RuntimeError):
                login()
    assert cache.execute("KEYS", "l:*") == []


@pytest.mark.parametrize("path", ["/browse/login/", "/admin/login/"])
def test_the_pages_for_people_count_with_the_api(ada, hashed, path):
    def post():
        browser = Client(REMOTE_ADDR=HOME, headers={"accept": "text/html"})
        return browser.post(path, {"username": "ADA", "password": PASSWORD, "next": "/"})

    assert statuses(2) == [200, 200]
    assert [post().status_code for _ in range(3)] == [302] * 3
    hashed.clear()
    response = post()
    assert response.status_code == 429
    assert f"Try again in {response['Retry-After']} seconds" in response.content.decode()
    assert login().status_code == 429
    assert hashed == []


def test_and_so_does_the_old_password_for_another(ada, hashed):
    statuses(5)
    browser = Client(REMOTE_ADDR=HOME, headers={"accept": "text/html"})
    browser.force_login(ada)
    hashed.clear()
    sent = {"old_password": PASSWORD, "new_password1": NEXT, "new_password2": NEXT}
    assert browser.post("/admin/password_change/", sent).status_code == 429
    assert hashed == []


def test_a_free_address_has_no_such_limit(ada, settings):
    settings.LIMIT_FREE_ADDRESSES = ("127.0.0.1",)
    assert statuses(8, address="127.0.0.1") == [200] * 8


@pytest.mark.parametrize("path", ["/browse/login/", "/admin/login/?next=/admin/"])
def test_the_login_pages_are_shown_so_often_to_an_address(path, settings):
    settings.LIMIT_VISITS_PER_MINUTE = 3
    browser = Client(REMOTE_ADDR=HOME, headers={"accept": "text/html"})
    assert [browser.get(path).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = browser.get(path)
    assert refused["Content-Type"].startswith("text/html")
    assert f"Try again in {refused['Retry-After']} seconds" in refused.content.decode()
    # What is posted without a name is looked at by no other limit.
    assert browser.post(path, {}).status_code == 429
    other = Client(REMOTE_ADDR=ELSEWHERE, headers={"accept": "text/html"})
    assert other.get(path).status_code == 200
