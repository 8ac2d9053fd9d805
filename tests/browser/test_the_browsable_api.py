"""The browsable API: reading, logging in, sending through forms, with and without a mouse."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PASSWORD
from tests.browser.pages import Watched
from tests.http import Person

Browse = Callable[..., Watched]
Register = Callable[[str], Person]

OPEN_PAGES = ["/", "/docs/", "/browse/login/", "/send_message", "/register", "/get_messages"]
OWN_PAGES = ["/users/me/", "/chats/", "/groups/", "/blocks/", "/archive/"]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", OPEN_PAGES)
def test_pages_open_to_all_are_accessible(
    browse: Browse, path: str, width: int, scheme: str
) -> None:
    watched = browse(width=width, scheme=scheme)
    watched.go(path)
    expect(watched.page.locator("h1, h2").first).to_be_visible()
    watched.check()


def log_in(watched: Watched, person: Person) -> None:
    watched.go("/browse/login/")
    watched.page.get_by_label("Username").fill(person.username)
    watched.page.get_by_label("Password").fill(PASSWORD)
    watched.page.get_by_role("button", name="Log in").click()
    watched.page.wait_for_url("**/")


@pytest.mark.parametrize("width", [1280, 390])
def test_ones_own_pages_are_accessible(
    browse: Browse, person: Register, width: int, scheme: str
) -> None:
    ann, ben = person("ann"), person("ben")
    chat = ann.send(ben, "Hello 😀 <b>bold</b>").ok(201)["chat_id"]
    group = ann.group(ben, name="Reading circle <script>")["group_id"]
    ann.block(person("cid"))
    watched = browse(width=width, scheme=scheme)
    log_in(watched, ann)
    for path in [
        *OWN_PAGES,
        f"/chats/{chat}/",
        f"/chats/{chat}/messages/",
        f"/groups/{group}/",
        f"/groups/{group}/members/",
        f"/users/{ben.user_id}/",
    ]:
        watched.go(path)
        watched.check()


def test_a_message_is_sent_through_a_form(browse: Browse, person: Register) -> None:
    ann, ben = person("ann"), person("ben")
    watched = browse()
    log_in(watched, ann)
    watched.go("/send_message")
    page = watched.page
    page.get_by_label("recipient_id").fill(ben.user_id)
    page.get_by_label("text").fill("Hello from a form\nwith <b>two</b> lines")
    page.get_by_role("button", name="Send").first.click()
    expect(page.get_by_text("201 Created")).to_be_visible()
    [message] = ben.messages(next(ben.walk("/chats/"))).ok()["results"]
    assert message["text"].replace("\r\n", "\n") == "Hello from a form\nwith <b>two</b> lines"


def test_a_refusal_is_a_sentence_on_the_page(browse: Browse, person: Register) -> None:
    ann = person("ann")
    watched = browse()
    watched.expected = {400}
    log_in(watched, ann)
    watched.go("/send_message")
    page = watched.page
    page.get_by_label("recipient_id").fill(ann.user_id)
    page.get_by_label("text").fill("to myself")
    page.get_by_role("button", name="Send").first.click()
    expect(page.get_by_text("You can't write to yourself", exact=False).first).to_be_visible()
    watched.check()


def test_by_keyboard_alone_one_logs_in_sends_and_logs_out(browse: Browse, person: Register) -> None:
    ann, ben = person("ann"), person("ben")
    watched = browse()
    watched.go("/")
    watched.tab_to("Log in")
    watched.enter()
    watched.tab_to("Username")
    watched.type(ann.username)
    watched.tab_to("Password")
    watched.type(PASSWORD)
    watched.enter()
    expect(watched.page.get_by_role("button", name="Log out")).to_be_visible()

    watched.tab_to("/send_message")
    watched.enter()
    watched.tab_to("recipient_id")
    watched.type(ben.user_id)
    watched.tab_to("text")
    watched.type("Hello from a keyboard")
    watched.tab_to("Send")
    watched.enter()
    expect(watched.page.get_by_text("201 Created")).to_be_visible()
    assert ben.poll().ok()["chats"][0]["messages"][0]["text"] == "Hello from a keyboard"

    watched.tab_to("Log out")
    watched.enter()
    watched.go("/send_message")
    expect(watched.page.get_by_text("Log in").first).to_be_visible()


def test_the_docs_are_read_and_a_route_is_opened(browse: Browse) -> None:
    watched = browse()
    watched.go("/docs/")
    page = watched.page
    expect(page.get_by_text("send_message").first).to_be_visible()
    page.locator("#operations-chats-send_message button").first.click()
    expect(page.get_by_text("my-first-message").first).to_be_visible()
    watched.check()


def test_what_people_write_is_text_on_every_page(browse: Browse, person: Register) -> None:
    evil = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    ann, ben = person("ann"), person("ben")
    chat = ann.send(ben, evil).ok(201)["chat_id"]
    group = ann.group(ben, name=evil[:60])["group_id"]
    watched = browse()
    log_in(watched, ben)
    for path in ("/chats/", f"/chats/{chat}/messages/", f"/groups/{group}/", "/groups/"):
        watched.go(path)
        assert "owned" not in watched.page.title()
        expect(watched.page.get_by_text("<img src=x").first).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_what_people_write_keeps_to_its_own_place(
    browse: Browse, person: Register, width: int
) -> None:
    ann, ben = person("ann"), person("ben")
    for text in ("x\n" * 1000, "y" * 4000, f"a{chr(0x301) * 1000}"):
        chat = ann.send(ben, text).ok(201)["chat_id"]
    ann.group(ben, name="M" * 100)
    watched = browse()
    watched.page.set_viewport_size({"width": width, "height": 900})
    log_in(watched, ben)
    watched.go(f"/chats/{chat}/messages/")
    heights = watched.page.locator("td.words").evaluate_all("its => its.map(it => it.clientHeight)")
    assert len(heights) == 3
    assert max(heights) < 400
    cells = watched.page.locator("td").evaluate_all(
        "its => its.map(it => getComputedStyle(it).overflowY)"
    )
    assert set(cells) == {"clip"}
    watched.check()
    watched.go("/groups/")
    watched.check()
