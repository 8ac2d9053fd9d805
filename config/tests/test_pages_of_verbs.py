"""Every verb in a browser: a page that says what to send, two forms that work, safe from forgery."""

import html
import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from accounts.models import User
from accounts.tests.factories import PASSWORD, make_user
from common.cache import cache
from messaging.models import Chat, Membership, Message

pytestmark = pytest.mark.django_db(transaction=True)

ACCEPT: Any = {"HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
FORM = "application/x-www-form-urlencoded"
FIELDS = {
    "/register": {"username", "password", "display_name"},
    "/login": {"username", "password"},
    "/logout": set(),
    "/send_message": {"recipient_id", "text", "client_id"},
    "/block_user": {"user_id"},
    "/unblock_user": {"user_id"},
    "/create_group": {"name", "member_ids"},
    "/add_user_to_group": {"group_id", "user_id"},
    "/remove_user_from_group": {"group_id", "user_id"},
    "/set_group_role": {"group_id", "user_id", "role"},
    "/send_message_to_group": {"group_id", "text", "client_id"},
    "/get_messages": {"cursor", "limit"},
    "/export": set(),
    "/report_message": {"chat_id", "seq", "reason", "comment"},
    "/report_user": {"user_id", "reason", "comment"},
}
OPEN = {"/register", "/login"}


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.close()
    cache.execute("FLUSHDB")
    yield
    cache.close()


@pytest.fixture
def ada(transactional_db):
    return make_user("ada", password=PASSWORD)


@pytest.fixture
def ben(transactional_db):
    return make_user("ben")


@pytest.fixture
def browser(ada):
    browser = Client(**ACCEPT, enforce_csrf_checks=True)
    browser.force_login(ada)
    return browser


def text_of(response):
    return response.content.decode()


def inputs(page):
    """The names of the fields in the page's first form."""
    form = page.partition('class="form"')[2].partition("</form>")[0]
    return set(re.findall(r'name="([a-z_]+)"', form)) - {"csrfmiddlewaretoken"}


def value_of(page, name):
    found = re.search(
        rf'<(?:input id|textarea id)="f-{name}"[^>]*?(?:value="([^"]*)"|>\n([^<]*))', page
    )
    assert found
    return html.unescape(found.group(1) or found.group(2) or "")


def csrf_token(page):
    (token, *_) = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    return token


def press(browser, path, **fields):
    """Fill in a page's form as a browser would, every field of it, and send it."""
    page = text_of(browser.get(path))
    token = csrf_token(page)
    filled = {"csrfmiddlewaretoken": token, **dict.fromkeys(inputs(page), ""), **fields}
    return browser.post(path, urlencode(filled), content_type=FORM)


def press_raw(browser, path, body):
    page = text_of(browser.get(path))
    token = csrf_token(page)
    return browser.post(
        path, urlencode({"csrfmiddlewaretoken": token, "_json": body}), content_type=FORM
    )


@pytest.mark.parametrize(("path", "fields"), FIELDS.items())
def test_opening_a_verb_shows_what_to_send(browser, path, fields):
    response = browser.get(path)
    page = text_of(response)
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/html")
    assert inputs(page) == fields
    assert 'name="_json"' in page
    for name in fields:
        assert f"<dt><code>{name}</code>" in page


@pytest.mark.parametrize("path", sorted(FIELDS.keys() - OPEN))
def test_who_is_not_logged_in_reads_what_to_send_and_is_led_to_the_login(path, transactional_db):
    response = Client(**ACCEPT).get(path)
    page = text_of(response)
    assert response.status_code == 200
    assert f'href="/browse/login/?next={path.replace("/", "%2F")}"' in page
    assert "<form" not in page


@pytest.mark.parametrize("path", FIELDS)
def test_a_program_that_gets_a_verb_is_refused(path, ada):
    client = Client()
    client.force_login(ada)
    response = client.get(path)
    assert response.status_code == 405
    assert response.json()["errors"][0]["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", sorted(FIELDS.keys() - OPEN))
@pytest.mark.parametrize("content_type", [FORM, "application/json"])
def test_a_session_without_its_csrf_token_writes_nothing(browser, ada, ben, path, content_type):
    body = {
        "recipient_id": str(ben.pk), "user_id": str(ben.pk), "group_id": str(ben.pk),
        "name": "n", "text": "t", "role": "member",
    }  # fmt: skip
    sent = json.dumps(body) if content_type == "application/json" else urlencode(body)
    response = browser.post(path, sent, content_type=content_type, HTTP_ACCEPT="application/json")
    assert response.status_code == 403
    assert set(response.json()) == {"type", "errors"}
    assert response.json()["errors"][0]["code"] == "permission_denied"
    assert not Message.objects.exists()
    assert not Chat.objects.exists()
    assert not ada.blocks.exists()
    assert browser.get("/users/me/").status_code == 200


def test_a_raw_form_without_its_csrf_token_is_refused_too(browser, ben):
    body = json.dumps({"recipient_id": str(ben.pk), "text": "t", "csrfmiddlewaretoken": "x"})
    response = browser.post("/send_message", urlencode({"_json": body}), content_type=FORM)
    assert response.status_code == 403
    assert not Message.objects.exists()


def test_the_forms_do_what_they_say(browser, ada, ben):
    assert press(browser, "/send_message", recipient_id=ben.pk, text="hello").status_code == 201
    assert press(browser, "/create_group", name="circle", member_ids=ben.pk).status_code == 201
    group = Chat.objects.get(kind=Chat.Kind.GROUP)
    both = {"group_id": group.pk, "user_id": ben.pk}
    for path, fields, status in (
        ("/send_message_to_group", {"group_id": group.pk, "text": "hi all"}, 201),
        ("/set_group_role", {**both, "role": "admin"}, 200),
        ("/remove_user_from_group", both, 200),
        ("/add_user_to_group", both, 201),
        ("/block_user", {"user_id": ben.pk}, 201),
        ("/unblock_user", {"user_id": ben.pk}, 200),  # a page, which a 204 could not have
        ("/register", {"username": "caro"}, 201),
        ("/login", {"username": "ada", "password": PASSWORD}, 200),
        ("/get_messages", {}, 200),
    ):
        response = press(browser, path, **fields)
        assert response.status_code == status, path
        assert response["Content-Type"].startswith("text/html")
    assert Message.objects.filter(kind="text").count() == 2
    assert Membership.objects.filter(chat=group, last_seq=None).count() == 2
    assert User.objects.filter(username="caro").exists()
    assert press(browser, "/logout").status_code == 200
    assert browser.get("/users/me/").status_code == 401


def test_the_raw_form_works_without_a_script(browser, ben):
    body = f'{{\r\n  "recipient_id": "{ben.pk}",\r\n  "text": "héllo\\r\\n 🦢"\r\n}}'
    assert press_raw(browser, "/send_message", body).status_code == 201
    assert Message.objects.get().text == "héllo\r\n 🦢"


@pytest.mark.parametrize("body", ["{nope", "[]", "", "5", '"text"'])
def test_a_raw_form_that_is_no_json_object_is_shown_again(browser, ben, body):
    response = press_raw(browser, "/send_message", body)
    assert response.status_code == 400
    assert f">\n{html.escape(body)}</textarea>" in text_of(response)
    assert not Message.objects.exists()


def test_line_ends_are_those_that_were_typed(browser, ben):
    press(browser, "/send_message", recipient_id=ben.pk, text="one\r\ntwo")
    assert Message.objects.get().text == "one\ntwo"


def test_what_was_refused_is_kept_in_the_form_and_the_field_at_fault_named(browser):
    page = text_of(press(browser, "/send_message", recipient_id="no id", text="<b>keep</b>"))
    assert value_of(page, "recipient_id") == "no id"
    assert value_of(page, "text") == "<b>keep</b>"
    assert page.count("This must be an id") == 3  # above the form, in it, and in the JSON
    assert "<b>keep</b>" not in page


def test_a_password_is_never_shown_again(browser):
    page = text_of(press(browser, "/login", username="ada", password="not the one"))
    assert value_of(page, "username") == "ada"
    assert "not the one" not in page


def test_polling_goes_on_from_the_cursor_that_was_answered(browser, ben):
    press(browser, "/send_message", recipient_id=ben.pk, text="hello")
    page = text_of(press(browser, "/get_messages"))
    assert "hello" in page
    cursor = value_of(page, "cursor")
    assert cursor
    again = text_of(press(browser, "/get_messages", cursor=cursor))
    assert "hello" not in again


def test_nothing_on_a_page_is_a_script_or_from_elsewhere(browser):
    for path in ("/", "/send_message", "/chats/", "/nowhere", "/browse/login/"):
        response = browser.get(path)
        page = text_of(response)
        assert "<script" not in page
        assert not re.search(r'(?:src|href)="(?!/|http://testserver/)', page)
    assert "default-src 'none'" in browser.get("/send_message")["Content-Security-Policy"]


def test_what_others_write_is_shown_not_run(browser, ada, ben):
    press(browser, "/create_group", name="<script>alert(1)</script>")
    for path in ("/groups/", "/chats/", f"/groups/{Chat.objects.get().pk}/"):
        page = text_of(browser.get(path))
        assert "<script>" not in page
        assert "&lt;script&gt;" in page


def test_lists_have_controls_to_go_on_and_back(browser, ada):
    for number in range(3):
        press(browser, "/create_group", name=f"circle {number}")
    first = text_of(browser.get("/groups/?limit=2"))
    assert 'rel="prev"' not in first
    (onward,) = re.findall(r'rel="next" href="([^"]+)"', first)
    onward = html.unescape(onward)
    second = text_of(browser.get(onward))
    assert 'rel="prev"' in second
    assert 'rel="next"' not in second


def test_an_id_leads_to_what_it_names(browser, ada, ben):
    press(browser, "/send_message", recipient_id=ben.pk, text="hello")
    chat_id = Chat.objects.get().pk
    page = text_of(browser.get("/chats/"))
    assert f'<code class="id" title="One click selects it">{chat_id}</code>' in page
    for path in (f"/chats/{chat_id}/", f"/chats/{chat_id}/messages/"):
        assert f'href="{path}"' in page
        assert browser.get(path).status_code == 200


def test_the_top_bar_knows_who_is_there(browser, ada):
    for path in ("/", "/register", "/send_message", "/chats/"):
        page = text_of(browser.get(path))
        assert "Log out" in page
        assert ada.display_name in page
    assert "Log out" not in text_of(Client(**ACCEPT).get("/"))


def test_a_person_logs_in_and_out(ada):
    browser = Client(**ACCEPT, enforce_csrf_checks=True)
    page = text_of(browser.get("/browse/login/?next=/chats/"))
    token = csrf_token(page)
    form = {"csrfmiddlewaretoken": token, "next": "/chats/", "username": "ADA"}
    wrong = browser.post("/browse/login/", {**form, "password": "wrong"})
    assert wrong.status_code == 200
    assert "no user with this name and password" in text_of(wrong)
    response = browser.post("/browse/login/", {**form, "password": PASSWORD})
    assert (response.status_code, response["Location"]) == (302, "/chats/")
    assert browser.get("/chats/").status_code == 200
    assert browser.post("/browse/logout/").status_code == 403
    page = text_of(browser.get("/chats/"))
    token = csrf_token(page)
    assert browser.post("/browse/logout/", {"csrfmiddlewaretoken": token}).status_code == 302
    assert browser.get("/chats/").status_code == 401


def test_the_login_leads_nowhere_else(ada):
    browser = Client(**ACCEPT)
    response = browser.post(
        "/browse/login/", {"username": "ada", "password": PASSWORD, "next": "https://evil.example/"}
    )
    assert response["Location"] == "/"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("a=" + "x" * 1_100_000, FORM, 413),
        ("&".join(f"f{n}=1" for n in range(2000)), FORM, 400),
        ("garbage", "multipart/form-data; boundary=x", 415),
        ("garbage", "multipart/form-data", 415),
    ],
)
@pytest.mark.parametrize("path", ["/send_message", "/register"])
def test_a_form_that_can_not_be_read_is_a_4xx(browser, path, body, content_type, status):
    response = browser.post(path, body, content_type=content_type)
    # A session's form that can't be read has no CSRF token either.
    assert response.status_code in {status, 403}
    assert response["Content-Type"].startswith("text/html")


def test_a_choice_begins_with_the_harmless_one(browser):
    page = text_of(browser.get("/set_group_role"))
    assert '<option value="admin" selected>' in page
    assert page.count(" selected>") == 1
