"""The admin: a moderator's first day, an operator's buttons, with and without a mouse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, Staff
from tests.browser.pages import Watched
from tests.http import JSON, Person

Browse = Callable[..., Watched]
Register = Callable[[str], Person]
Manage = Callable[..., str]
EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def enter(watched: Watched, who: Staff | Person) -> None:
    """Log in to the admin with a mouse."""
    watched.go("/admin/login/")
    watched.page.get_by_label("Username").fill(who.username)
    watched.page.get_by_label("Password").fill(PASSWORD)
    watched.page.get_by_role("button", name="Log in").click()
    watched.page.wait_for_url("**/admin/")


def deed(page: Page, name: str) -> None:
    """Choose one of the deeds that a page offers."""
    page.get_by_role("group", name="What can be done").get_by_role("link", name=name).click()


@dataclass
class Reported:
    """What has happened before a moderator comes."""

    bad: Person
    good: Person
    message: JSON


@pytest.fixture
def reported(person: Register) -> Reported:
    bad, good = person("bad"), person("good")
    message = bad.send(good, f"buy pills {EVIL}").ok(201)
    good.send(bad, "please stop").ok(201)
    good.post(
        "/report_message",
        chat_id=message["chat_id"],
        seq=message["seq"],
        reason="spam",
        comment=f"every night {EVIL}",
    ).ok(201)
    return Reported(bad, good, message)


def staff(role: str, person: Register, manage: Manage) -> Person:
    """Return somebody who was given a role."""
    who = person(role)
    manage("grant", "--role", role, who.username)
    return who


@pytest.fixture
def moderator(person: Register, manage: Manage) -> Person:
    return staff("moderator", person, manage)


@pytest.fixture
def operator(person: Register, manage: Manage) -> Person:
    return staff("operator", person, manage)


def open_case(watched: Watched, reported: Reported) -> None:
    """Go from the menu to the queue and into the case of a reported message."""
    page = watched.page
    page.get_by_role("link", name="Reports").first.click()
    row = (
        page.get_by_role("row").filter(has_text=reported.bad.username).filter(has_text="buy pills")
    )
    row.get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="What was said around it")).to_be_visible()


def test_a_report_is_understood_acted_on_and_explained(
    browse: Browse, moderator: Person, reported: Reported
) -> None:
    watched = browse()
    enter(watched, moderator)
    open_case(watched, reported)
    page = watched.page
    context = page.get_by_role("region", name="What was said around it")
    expect(context.get_by_text("please stop")).to_be_visible()
    expect(context.get_by_text("buy pills").first).to_be_visible()
    expect(page.get_by_text("every night").first).to_be_visible()

    deed(page, "Redact the message")
    page.get_by_role("textbox", name="Reason").fill("An advertisement for pills")
    page.get_by_label("Ban the user").check(force=True)
    page.get_by_role("button", name="Redact the message").click()

    expect(page.get_by_text("An advertisement for pills").first).to_be_visible()
    expect(page.get_by_text("Resolved").first).to_be_visible()
    # The worker takes the text out; the redaction's page tells when.
    page.get_by_role("link", name="how far the text is gone").click()
    step = page.get_by_role("listitem").filter(has_text="Gone from the database and the cache")
    expect(step).to_contain_text("done", timeout=60_000)
    [removed, _] = reported.good.messages(reported.message).ok()["results"]
    assert (removed["kind"], removed["text"]) == ("removed", "")
    reported.bad.get("/users/me/").refused(401)
    [report] = reported.good.get("/reports/").ok()["results"]
    assert report["state"] == "resolved"
    assert moderator.username not in str(report)


OUT_OF_PLACE = """() => [...document.querySelectorAll(".talk .text, .as-sent, .rows td")]
  .filter(it => {
    const style = getComputedStyle(it);
    return it.clientHeight > 400 || style.overflowY === "visible";
  }).map(it => it.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("width", [1280, 390])
def test_what_people_write_keeps_to_its_own_place(
    browse: Browse, person: Register, moderator: Person, width: int
) -> None:
    """However long, however many marks stand on one letter, wherever its direction turns."""
    bad, good = person("bad"), person("good")
    # Begins from the right, as a Hebrew name does: what turns text around is refused in names.
    name = f"\u05e9\u05dc\u05d5\u05dd turned about {'M' * 40}"
    group = bad.post("/create_group", name=name, member_ids=[good.user_id]).ok(201)["group_id"]
    for text in ("x\n" * 1000, "y" * 4000, f"a{chr(0x301) * 1000}", "buy pills"):
        bad.send_group(group, text).ok(201)
    body = {"chat_id": group, "seq": 5, "reason": "spam", "comment": "much\n" * 500}
    good.post("/report_message", **body).ok(201)
    watched = browse()
    watched.page.set_viewport_size({"width": width, "height": 900})
    enter(watched, moderator)
    watched.go("/admin/moderation/case/")
    row = watched.page.get_by_role("row").filter(has_text=bad.username)
    row.get_by_role("link").first.click()
    expect(watched.page.get_by_role("heading", name="What was said around it")).to_be_visible()
    assert watched.page.evaluate(OUT_OF_PLACE) == []
    # The group's name turns no more than itself: the message's number still stands behind it.
    chat = watched.page.get_by_role("link", name="turned").first
    expect(chat.locator("xpath=..")).to_contain_text("#5")
    assert chat.evaluate("it => getComputedStyle(it).unicodeBidi") == "isolate"
    watched.check()
    watched.go("/admin/groups/group/")
    watched.check()


def test_a_report_is_dismissed_by_keyboard_alone(
    browse: Browse, moderator: Person, reported: Reported
) -> None:
    watched = browse()
    watched.go("/admin/")
    watched.tab_to("Username")
    watched.type(moderator.username)
    watched.tab_to("Password")
    watched.type(PASSWORD)
    watched.enter()
    watched.tab_to("Reports")
    watched.enter()
    # The newest report stands on top.
    row = watched.page.get_by_role("row").filter(has_text=reported.bad.username)
    link = row.get_by_role("link").first.inner_text()
    # The day and the time may stand on two lines.
    watched.tab_to(link.split()[0])
    watched.enter()
    watched.tab_to("Dismiss")
    watched.enter()
    watched.tab_to("Reason")
    watched.page.keyboard.type("Both are joking")
    watched.tab_to("Dismiss")
    watched.enter()
    expect(watched.page.get_by_text("Dismissed").first).to_be_visible()
    [message, _] = reported.good.messages(reported.message).ok()["results"]
    assert message["text"].startswith("buy pills")
    assert reported.good.get("/reports/").ok()["results"][0]["state"] == "dismissed"


def test_a_user_is_banned_and_comes_back(
    browse: Browse, moderator: Person, person: Register
) -> None:
    bad = person("bad")
    watched = browse()
    enter(watched, moderator)
    page = watched.page
    page.get_by_role("link", name="Users").first.click()
    page.get_by_role("searchbox").or_(page.locator("#searchbar")).first.fill(bad.username)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=bad.username).first.click()
    deed(page, "Ban")
    page.get_by_role("textbox", name="Reason").fill("Insults")
    page.get_by_role("button", name="Ban").click()
    expect(page.get_by_text("banned").first).to_be_visible()
    bad.get("/users/me/").refused(401)
    assert bad.server.post("/login", username=bad.username, password=PASSWORD).status == 401

    deed(page, "Lift the ban")
    page.get_by_role("textbox", name="Reason").fill("They apologised")
    page.get_by_role("button", name="Lift the ban").click()
    expect(page.get_by_text("active").first).to_be_visible()
    bad.server.post("/login", username=bad.username, password=PASSWORD).ok()


def test_a_moderator_sees_no_private_chat_without_a_reason(
    browse: Browse, moderator: Person, person: Register
) -> None:
    ann, ben = person("ann"), person("ben")
    message = ann.send(ben, "between the two of us").ok(201)
    watched = browse()
    enter(watched, moderator)
    page = watched.page
    watched.go(f"/admin/messaging/chat/{message['chat_id']}/change/")
    expect(page.get_by_text("between the two of us")).to_have_count(0)
    deed(page, "Break the glass")
    page.get_by_role("textbox", name="Reason").fill("A threat was reported by telephone")
    page.get_by_role("button", name="Break the glass").click()
    expect(page.get_by_text("between the two of us").first).to_be_visible()


def test_an_operator_starts_a_backup_and_sees_it_done(browse: Browse, operator: Person) -> None:
    watched = browse()
    enter(watched, operator)
    page = watched.page
    page.get_by_role("link", name="Runs").first.click()
    page.get_by_role("link", name="Back up").or_(
        page.get_by_role("button", name="Back up")
    ).first.click()
    if page.get_by_role("button", name="Back up").count():
        page.get_by_role("button", name="Back up").first.click()
    expect(page.get_by_text("done").first).to_be_visible(timeout=90_000)


@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_is_accessible(  # noqa: PLR0917
    browse: Browse, superuser: Staff, reported: Reported, person: Register, width: int, scheme: str
) -> None:
    group = reported.good.group(person("cid"), name=f"Readers {EVIL[:40]}")["group_id"]
    watched = browse(width=width, scheme=scheme)
    watched.go("/admin/login/")
    watched.check()
    enter(watched, superuser)
    watched.check()
    links = watched.page.eval_on_selector_all(
        "a[href^='/admin/']", "links => links.map(link => link.getAttribute('href'))"
    )
    menu = [
        link
        for link in dict.fromkeys(links)
        if "logout" not in link and "password" not in link and link != "/admin/"
    ]
    assert len(menu) > 10
    for path in [
        *menu,
        f"/admin/accounts/user/{reported.bad.user_id}/change/",
        f"/admin/groups/group/{group}/change/",
        f"/admin/messaging/chat/{reported.message['chat_id']}/change/",
    ]:
        watched.go(path)
        watched.check()
        assert "owned" not in watched.page.title()
