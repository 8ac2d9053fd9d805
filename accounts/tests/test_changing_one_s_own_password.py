"""Whoever works in the admin changes their own password there: recorded, and never guessed at."""

import pytest
from django.test import Client

from accounts.models import User
from accounts.tests.factories import PASSWORD, client_of, make_token, make_user
from audit.models import Entry
from common import counts
from common.cache import cache

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/admin/password_change/"
NEXT = "eleven white swans"


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.close()
    cache.execute("FLUSHDB")
    yield
    cache.close()


@pytest.fixture
def ada():
    return make_user("ada", password=PASSWORD, is_staff=True)


@pytest.fixture
def browser(ada):
    return browser_of(ada)


def browser_of(user):
    browser = Client()
    browser.force_login(user)
    return browser


def change(browser, old=PASSWORD, new=NEXT, again=None, **extra):
    sent = {"old_password": old, "new_password1": new, "new_password2": again or new}
    return browser.post(PAGE, sent, **extra)


def test_it_is_changed_and_that_is_recorded(ada, browser):
    assert b"Old password" in browser.get(PAGE).content
    answer = change(browser)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/password_change/done/")
    assert User.objects.get().check_password(NEXT)
    entry = Entry.objects.get(action="change_password")
    assert (entry.actor_name, entry.target_id, entry.address) == ("ada", str(ada.pk), "127.0.0.1")
    assert NEXT not in f"{entry.before}{entry.after}{entry.reason}"


def test_whoever_else_was_logged_in_is_not_any_more(ada, browser):
    other, token = browser_of(ada), make_token(ada)
    assert client_of(token=token).get("/chats/").status_code == 200
    assert change(browser).status_code == 302
    assert browser.get("/admin/").status_code == 200
    assert other.get("/admin/").status_code == 302
    assert client_of(token=token).get("/chats/").status_code == 401


@pytest.mark.parametrize("sent", [{"old": "wrong"}, {"new": "12345"}, {"again": "another one"}])
def test_a_refusal_changes_nothing_and_records_no_change(ada, browser, sent):
    token = make_token(ada)
    answer = change(browser, **sent)
    assert answer.status_code == 200
    assert User.objects.get().check_password(PASSWORD)
    assert not Entry.objects.filter(action="change_password").exists()
    assert client_of(token=token).get("/chats/").status_code == 200


def test_the_old_password_is_guessed_no_faster_than_a_login(browser, settings):
    settings.LIMIT_FREE_ADDRESSES = ()
    settings.LIMIT_LOGIN_FAILURES_PER_HOUR = 3
    found = [
        change(browser, old=f"wrong {n}", REMOTE_ADDR="203.0.113.7").status_code for n in range(5)
    ]
    assert found == [200, 200, 200, 429, 429]
    assert change(browser, REMOTE_ADDR="203.0.113.7").status_code == 429
    assert User.objects.get().check_password(PASSWORD)


def test_a_wrong_old_password_is_recorded_and_counted_as_a_failed_login_is(ada, browser):
    def wrong():
        return counts.total(None).get(("strata_logins_total", ("wrong",)), [0])[0]

    before = wrong()
    change(browser, old="not it", REMOTE_ADDR="203.0.113.7")
    assert wrong() == before + 1
    entry = Entry.objects.get(action="wrong_password")
    assert (entry.actor_name, entry.target_id, entry.address) == (
        "ada",
        str(ada.pk),
        "203.0.113.7",
    )
    assert "not it" not in f"{entry.before}{entry.after}{entry.reason}"


def test_that_the_guessing_was_held_up_is_recorded_once(ada, browser, settings):
    settings.LIMIT_LOGIN_FAILURES_PER_HOUR = 2
    for n in range(5):
        change(browser, old=f"wrong {n}", REMOTE_ADDR="203.0.113.7")
    assert Entry.objects.filter(action="wrong_password").count() == 1
    assert Entry.objects.get(action="lockout").target_id == str(ada.pk)


def test_a_proxy_that_is_not_counted_frees_nobody(browser, settings):
    settings.LIMIT_LOGIN_FAILURES_PER_HOUR = 2
    found = [
        change(browser, old=f"wrong {n}", HTTP_X_FORWARDED_FOR="203.0.113.7").status_code
        for n in range(4)
    ]
    assert found == [200, 200, 429, 429]


def test_nobody_else_has_the_page(ada):
    assert Client().get(PAGE).status_code == 302
    assert browser_of(make_user("bob")).get(PAGE).status_code == 302
