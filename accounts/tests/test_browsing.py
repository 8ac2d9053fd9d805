"""In a browser: pages that show what to send and forms to send it with, safe from forgery."""

import re
from urllib.parse import urlencode

import pytest
from django.test import Client

from accounts.models import Block, User
from accounts.tests.factories import PASSWORD, make_user
from common.samples import BOB

pytestmark = pytest.mark.django_db(transaction=True)

FORM = "application/x-www-form-urlencoded"
HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def ada(transactional_db):
    return make_user("ada", display_name="Ada <b>")


@pytest.fixture
def browser(ada):
    browser = Client(headers=HTML, enforce_csrf_checks=True)
    browser.force_login(ada)
    return browser


def csrf_of(page):
    return re.search(r'csrfToken: "([^"]+)"|name="csrfmiddlewaretoken" value="([^"]+)"', page)


def token_on(browser, path):
    page = browser.get(path).content.decode()
    found = csrf_of(page)
    assert found, "no CSRF token on the page"
    return found.group(1) or found.group(2)


@pytest.mark.parametrize("path", ["/block_user", "/unblock_user"])
def test_a_verb_s_page_shows_what_to_send(browser, path):
    response = browser.get(path)
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/html")
    page = response.content.decode()
    assert BOB in page  # the sample in the raw form
    assert 'name="user_id"' in page  # the field of the HTML form
    assert "The id of the other user." in page


@pytest.mark.parametrize("path", ["/register", "/login"])
def test_the_open_verbs_have_pages_too(path, transactional_db):
    page = Client(headers=HTML).get(path)
    assert page.status_code == 200
    assert "a long sentence" in page.content.decode()
    assert 'type="password"' in page.content.decode()


def test_the_page_of_logout_has_a_button(browser):
    assert browser.get("/logout").status_code == 200


def test_programs_get_a_405_for_the_same_path(ada):
    client = Client()
    client.force_login(ada)
    assert client.get("/block_user").status_code == 405
    assert client.get("/block_user")["Allow"] == "POST, OPTIONS"


def test_the_html_form_works(browser, ada):
    bob = make_user("bob")
    fields = {"user_id": str(bob.pk), "csrfmiddlewaretoken": token_on(browser, "/block_user")}
    response = browser.post("/block_user", urlencode(fields), content_type=FORM)
    assert response.status_code == 201
    assert Block.objects.get().blocked == bob
    assert str(bob.pk) in response.content.decode()


def test_the_raw_form_works(browser, ada):
    bob = make_user("bob")
    response = browser.post(
        "/block_user",
        f'{{"user_id": "{bob.pk}"}}',
        content_type="application/json",
        headers={"X-CSRFToken": token_on(browser, "/block_user")},
    )
    assert response.status_code == 201
    assert Block.objects.count() == 1


def test_an_error_is_shown_with_the_form(browser):
    fields = {"user_id": "x", "csrfmiddlewaretoken": token_on(browser, "/block_user")}
    response = browser.post("/block_user", urlencode(fields), content_type=FORM)
    assert response.status_code == 400
    assert "This must be an id" in response.content.decode()


def test_a_form_without_its_csrf_token_is_refused(browser):
    bob = make_user("bob")
    for content_type, data in (
        ("application/json", f'{{"user_id": "{bob.pk}"}}'),
        ("application/x-www-form-urlencoded", f"user_id={bob.pk}"),
    ):
        response = browser.post("/block_user", data, content_type=content_type)
        assert response.status_code == 403
    assert not Block.objects.exists()


def test_programs_that_send_a_session_need_it_as_well(ada):
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    response = client.post(
        "/block_user", f'{{"user_id": "{make_user().pk}"}}', content_type="application/json"
    )
    assert response.status_code == 403
    assert response.json()["errors"][0]["code"] == "permission_denied"


def test_what_users_write_is_shown_not_run(browser, ada):
    ada.display_name = '<script>alert("x")</script>'
    ada.save()
    page = browser.get("/users/me/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_an_answer_is_shown(browser, ada):
    assert str(ada.pk) in browser.get("/users/me/").content.decode()


def test_logging_out_ends_the_session(browser):
    token = token_on(browser, "/block_user")
    response = browser.post("/logout", content_type=FORM, headers={"X-CSRFToken": token})
    assert response.status_code == 200  # a page that shows the 204
    assert browser.get("/users/me/").status_code == 401


def test_a_person_logs_in_and_sends(transactional_db):
    make_user("Ada", password=PASSWORD)
    browser = Client(headers=HTML, enforce_csrf_checks=True)
    token = token_on(browser, "/browse/login/")
    browser.post(
        "/browse/login/",
        {"username": "ADA", "password": PASSWORD, "csrfmiddlewaretoken": token, "next": "/blocks/"},
    )
    assert "Ada" in browser.get("/users/me/").content.decode()


def test_a_list_has_page_links(browser, ada):
    Block.objects.bulk_create([Block(blocker=ada, blocked=make_user()) for _ in range(3)])
    page = browser.get("/blocks/?limit=2").content.decode()
    assert "cursor=" in page


def test_the_superuser_command_makes_one_who_gets_in(transactional_db, monkeypatch):
    from django.core.management import call_command

    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", "--no-input", "--username", "Root")
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser, user.username_key) == (True, True, "root")
    assert user.check_password(PASSWORD)
