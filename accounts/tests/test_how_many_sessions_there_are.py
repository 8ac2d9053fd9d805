"""Browsers' sessions: so many a user, and none that has expired."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from accounts import sessions, tasks
from accounts.models import BrowserSession
from accounts.tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    monkeypatch.setattr(sessions, "SESSIONS_PER_USER", 3)


def browser_of(user):
    browser = Client()
    browser.force_login(user)
    return browser


def is_in(browser):
    return browser.get("/users/me/").status_code == 200


def test_a_further_login_ends_the_oldest_session_of_that_user_alone():
    ada, bob = make_user("ada"), make_user("bob")
    his = browser_of(bob)
    hers = [browser_of(ada) for _ in range(5)]
    assert [is_in(browser) for browser in hers] == [False, False, True, True, True]
    assert is_in(his)
    assert BrowserSession.objects.filter(user=ada).count() == 3


def test_it_holds_at_the_pages_login_too():
    ada = make_user("ada", password=PASSWORD)
    for _ in range(4):
        answer = Client().post("/browse/login/", {"username": "ada", "password": PASSWORD})
        assert answer.status_code == 302
    assert BrowserSession.objects.count() == 3
    assert set(BrowserSession.objects.values_list("user", flat=True)) == {ada.pk}


def test_a_session_that_is_saved_again_ends_no_other():
    ada = make_user("ada")
    browsers = [browser_of(ada) for _ in range(3)]
    for browser in browsers * 2:
        session = browser.session
        session["seen"] = True
        session.save()
        session.cycle_key()
        browser.cookies["sessionid"] = session.session_key
    assert all(is_in(browser) for browser in browsers)


def test_a_session_goes_with_its_user_and_with_a_logout():
    ada, bob = make_user("ada"), make_user("bob")
    browser_of(ada)
    his = browser_of(bob)
    get_user_model().objects.filter(pk=ada.pk).delete()
    assert BrowserSession.objects.get().user == bob
    his.post("/browse/logout/")
    assert not BrowserSession.objects.exists()


def test_strangers_leave_no_sessions():
    for path in ("/", "/browse/login/", "/admin/login/?next=/admin/", "/admin/", "/chats/"):
        Client().get(path, HTTP_ACCEPT="text/html")
    assert not BrowserSession.objects.exists()


def test_what_has_expired_is_cleared(monkeypatch):
    monkeypatch.setattr(sessions, "CLEARED_AT_ONCE", 2)
    stays = browser_of(make_user("ada"))
    past = timezone.now() - timedelta(seconds=1)
    for n in range(5):
        BrowserSession.objects.create(session_key=f"k{n}", session_data="", expire_date=past)
    assert tasks.clear_sessions() == 5
    assert tasks.clear_sessions() == 0
    assert BrowserSession.objects.count() == 1
    assert is_in(stays)
