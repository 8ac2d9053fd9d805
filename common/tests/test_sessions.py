"""A reader of the sessions' table is nobody."""

from importlib import import_module

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from common.sessions import row_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser():
    client = Client()
    client.force_login(get_user_model().objects.create_user("ada", password="a-long-password-7"))
    return client


def rows(settings):
    store = import_module(settings.SESSION_ENGINE).SessionStore
    return store.get_model_class().objects


def with_key(key, settings):
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = key
    return client


def test_a_person_stays_logged_in(browser):
    assert browser.get("/users/me/").status_code == 200
    assert browser.get("/users/me/").json()["username"] == "ada"


def test_the_row_does_not_tell_the_key(browser, settings):
    key = browser.cookies[settings.SESSION_COOKIE_NAME].value
    row = rows(settings).get()
    assert row.session_key == row_key(key) != key
    assert key not in row.session_data
    assert with_key(key, settings).get("/users/me/").status_code == 200
    assert with_key(row.session_key, settings).get("/users/me/").status_code == 401


def test_logging_out_ends_it(browser, settings):
    key = browser.cookies[settings.SESSION_COOKIE_NAME].value
    browser.post("/browse/logout/")
    assert not rows(settings).exists()
    assert with_key(key, settings).get("/users/me/").status_code == 401


def test_logging_in_gives_a_new_key(settings):
    get_user_model().objects.create_user("ada", password="a-long-password-7")
    client = with_key("planted-by-somebody-else-0123456", settings)
    client.post("/browse/login/", {"username": "ada", "password": "a-long-password-7"})
    key = client.cookies[settings.SESSION_COOKIE_NAME].value
    assert key != "planted-by-somebody-else-0123456"
    assert with_key(key, settings).get("/users/me/").status_code == 200


def test_a_new_password_ends_the_others(browser, settings):
    user = get_user_model().objects.get()
    user.set_password("another-password-8")
    user.save()
    assert browser.get("/users/me/").status_code == 401


def test_a_strange_key_is_not_kept(settings):
    client = with_key("x" * 32, settings)
    assert client.get("/users/me/").status_code == 401
    assert not rows(settings).exists()
