"""The moderators' pages: the queue, a report, private reading; as each role, at a fixed cost."""

import html
import re

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.tests.factories import make_user
from audit.models import Entry
from messaging.models import Chat, Membership, Message
from moderation import services
from moderation.models import BreakGlass, Case, Redaction, State
from moderation.roles import Role
from moderation.tests.conftest import staff
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
QUEUE = "/admin/moderation/case/"
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
WHY = "a reason that is long enough"


def browser_of(user):
    browser = Client()
    browser.force_login(user)
    return browser


@pytest.fixture
def mod_user(transactional_db):
    return staff("mod", Role.MODERATOR)


@pytest.fixture
def browser(mod_user):
    return browser_of(mod_user)


@pytest.fixture
def group(ann, ben, cid):
    group = ann.group(ben, cid)
    ann.tell(group, "before it")
    ben.tell(group, "buy this")
    ann.tell(group, "after it")
    return group


@pytest.fixture
def case(ann, group):
    """A message of ben's in a group, seq 3, reported by ann."""
    report, _ = services.report_message(
        reporter_id=ann.id, chat_id=group, seq=3, reason="spam", comment="the third today"
    )
    return report.case


def page(case):
    return f"{QUEUE}{case.pk}/change/"


def deed(case, name):
    return f"{QUEUE}{case.pk}/do/{name}/"


def do(browser, url, **data):
    """Do a deed and return the page that follows, as text."""
    answer = browser.post(url, data, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def text_of(answer):
    assert answer.status_code == 200
    return html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_the_queue_shows_what_is_to_decide(browser, case, ann, cid):
    services.report_user(reporter_id=ann.id, user_id=cid.id, reason="harassment")
    shown = text_of(browser.get(QUEUE))
    for words in ("buy this", "ben", "spam", "the account", "cid", "harassment"):
        assert words in shown
    Case.objects.filter(pk=case.pk).update(
        state=State.DISMISSED, closed_at=case.reported_at, resolution="no"
    )
    assert "buy this" not in text_of(browser.get(QUEUE))
    assert "buy this" in text_of(browser.get(f"{QUEUE}?state=dismissed"))
    assert "buy this" in text_of(browser.get(f"{QUEUE}?state=all"))
    assert "buy this" not in text_of(browser.get(f"{QUEUE}?state=mine"))


@pytest.mark.parametrize(
    ("query", "found"), [("ben", True), ("be", True), ("ann", False), ("nobody", False)]
)
def test_cases_are_found_by_who_is_reported(browser, case, query, found):
    assert ("buy this" in text_of(browser.get(f"{QUEUE}?q={query}"))) is found


def test_and_by_the_chat(browser, case, group):
    assert "buy this" in text_of(browser.get(f"{QUEUE}?q={group}"))


def test_a_report_is_understood_from_its_page(browser, case, ann, ben):
    answer = browser.get(page(case))
    shown = text_of(answer)
    for words in ("before it", "buy this", "after it", "the third today", "ann", "Read from"):
        assert words in shown, words
    source = answer.content.decode()
    assert source.count('class="reported"') == 1
    assert re.search(r'class="reported".*?buy this', source, re.DOTALL)
    assert re.search(r'id="tier">(cache|database)<', source)
    assert Entry.objects.latest("pk").action == "case_read"
    for name in ("take", "redact", "ban", "remove", "freeze", "resolve", "dismiss"):
        assert f'id="deed-{name}"' in source, name


def test_a_long_text_is_in_a_place_of_its_own_that_keys_can_scroll(browser, ann, ben, cid):
    group = ann.group(ben, cid)
    for text in ("short", "x" * 4000, "line\n" * 300):
        ben.tell(group, text)
    report, _ = services.report_message(
        reporter_id=ann.id, chat_id=group, seq=3, reason="spam", comment="much\n" * 300
    )
    source = browser.get(page(report.case)).content.decode()
    assert re.findall(r'tabindex="0" role="group" aria-label="([^"]+)"', source)[:3] == [
        "The reported message",
        "Text of message #3",
        "Text of message #4",
    ]
    assert '<p class="as-sent" tabindex="0" role="group" aria-label="In their words">' in source


def test_reports_that_are_not_shown_are_counted(browser, case, ann):
    Case.objects.filter(pk=case.pk).update(report_count=F("report_count") + 3)
    assert "And 3 before these." in text_of(browser.get(page(case)))


def test_one_block_is_one(browser, case, ann, ben):
    ann.post("/block_user", user_id=str(ben.id))
    assert "1 user blocks them." in text_of(browser.get(page(case)))


def test_each_text_in_a_group_has_its_own_way_to_a_redaction(browser, case, group):
    source = browser.get(page(case)).content.decode()
    asks = f"/admin/groups/group/{group}/do/redact/?seq="
    # 1 is the group's beginning, which has no text of anybody; 3 is reported: the button's.
    assert re.findall(rf'href="{re.escape(asks)}(\d+)"', source) == ["2", "4"]
    assert 'name="seq" value="2"' in browser.get(f"{asks}2").content.decode()
    shown = do(browser, asks.partition("?")[0], seq="2", reason="the same again")
    assert "on its way out of every tier" in shown
    redaction = Redaction.objects.get()
    assert (redaction.chat_id, redaction.seq) == (group, 2)


def test_and_in_private_none_has(browser, ann, ben):
    ann.say(ben, "one")
    ben.say(ann, "two")
    chat = Chat.objects.get(kind=Chat.Kind.PRIVATE).pk
    report, _ = services.report_message(
        reporter_id=ann.id, chat_id=chat, seq=2, reason="harassment"
    )
    answer = browser.get(page(report.case))
    assert "one" in text_of(answer)
    assert 'class="redact"' not in answer.content.decode()


def test_who_only_read_a_report_is_counted_and_does_not_hide_what_was_done(browser, case):
    for _ in range(25):
        browser.get(page(case))
    shown = do(browser, deed(case, "dismiss"), reason="a joke among friends")
    assert "Opened by mod (26 times)." in shown
    assert "dismissed a report" in shown
    assert "read a reported message" not in shown


def test_a_decided_report_leads_to_its_redaction(browser, case):
    shown = do(browser, deed(case, "redact"), reason="an advertisement", ends="never")
    assert "The report is resolved: message redacted." in shown
    assert f'href="/admin/moderation/redaction/{Redaction.objects.get().pk}/change/"' in shown


def test_it_is_taken_decided_and_explained(browser, case, group, ben, mod_user):
    do(browser, deed(case, "take"))
    case.refresh_from_db()
    assert (case.state, case.assignee_id) == (State.IN_PROGRESS, mod_user.pk)
    shown = do(browser, deed(case, "ban"), reason="spam again", ends="7", also=["redact", "remove"])
    assert "spam again" in shown
    case.refresh_from_db()
    assert (case.state, case.measures) == (State.RESOLVED, ["redact", "ban", "remove"])
    user = User.objects.get(pk=ben.id)
    assert not user.is_active
    assert user.banned_until is not None
    assert not Membership.objects.filter(chat=group, user=ben.id, last_seq=None).exists()
    trail = re.sub(r"\s+", " ", shown)
    assert "took a report" in trail
    assert "resolved a report" in trail
    assert Entry.objects.filter(action="ban").get().actor_name == "mod"


@pytest.mark.parametrize(
    ("name", "data", "measures"),
    [
        ("redact", {}, ["redact"]),
        ("remove", {}, ["remove"]),
        ("freeze", {}, ["freeze"]),
        ("resolve", {}, []),
        ("resolve", {"also": ["freeze", "ban"]}, ["ban", "freeze"]),
    ],
)
def test_each_measure_has_its_button(browser, case, name, data, measures):
    do(browser, deed(case, name), reason="why", ends="never", **data)
    case.refresh_from_db()
    assert (case.state, case.measures, case.resolution) == (State.RESOLVED, measures, "why")


def test_nothing_is_done_without_a_reason_or_by_a_link(browser, case):
    for name in ("redact", "ban", "remove", "freeze", "resolve", "dismiss"):
        assert "required" in do(browser, deed(case, name), ends="7")
        browser.get(deed(case, name))
    case.refresh_from_db()
    assert case.live


def test_who_comes_too_late_is_told_by_whom_it_was_decided(browser, case):
    other = browser_of(staff("other", Role.MODERATOR))
    do(other, deed(case, "dismiss"), reason="fine")
    shown = do(browser, deed(case, "ban"), reason="not fine", ends="7")
    assert "was dismissed by other at" in html.unescape(shown)
    assert User.objects.get(username="ben").is_active


def test_a_case_is_opened_again(browser, case):
    do(browser, deed(case, "dismiss"), reason="fine")
    do(browser, deed(case, "reopen"), reason="not fine after all")
    case.refresh_from_db()
    assert case.live


def test_html_is_shown_as_text_everywhere(browser, transactional_db):
    ann, ben = Person("anna"), Person("benn")
    User.objects.filter(pk=ben.id).update(display_name=EVIL)
    group = ann.group(ben, name=EVIL)
    ben.tell(group, EVIL)
    report, _ = services.report_message(
        reporter_id=ann.id, chat_id=group, seq=2, reason="spam", comment=EVIL
    )
    do(browser, deed(report.case, "redact"), reason=EVIL, ends="7")
    do(browser, f"/admin/groups/group/{group}/do/freeze/", reason=EVIL)
    case = Case.objects.get()
    root = browser_of(User.objects.create_superuser("root"))
    pages = [
        f"{QUEUE}?state=all",
        page(case),
        f"/admin/groups/group/{group}/change/?read=1",
        "/admin/groups/group/",
        "/admin/moderation/redaction/",
        f"/admin/moderation/redaction/{Redaction.objects.get().pk}/change/",
        f"/admin/accounts/user/{ben.id}/change/",
        "/admin/audit/entry/",
        f"/admin/audit/entry/{Entry.objects.filter(reason=EVIL).latest('pk').pk}/change/",
        f"/admin/audit/entry/?q={EVIL}",
    ]
    for url in pages:
        for viewer in (root,) if "audit" in url else (browser, root):
            answer = viewer.get(url)
            assert answer.status_code == 200, url
            source = answer.content.decode()
            assert "<script>alert" not in source, url
            assert "<img src=x" not in source, url


def test_nobody_sees_what_is_reported_of_themself(browser, ann, mod_user):
    report, _ = services.report_user(reporter_id=ann.id, user_id=mod_user.pk, reason="other")
    assert "the account" not in text_of(browser.get(QUEUE))
    assert browser.get(page(report.case)).status_code == 302
    assert browser.post(deed(report.case, "dismiss"), {"reason": "I am fine"}).status_code == 404
    report.case.refresh_from_db()
    assert report.case.live


def test_what_is_said_of_the_staff_shows_no_buttons_to_moderators(browser, ann):
    operator = staff("op", Role.OPERATOR)
    report, _ = services.report_user(reporter_id=ann.id, user_id=operator.pk, reason="other")
    assert 'id="deed-ban"' not in browser.get(page(report.case)).content.decode()
    assert browser.post(deed(report.case, "dismiss"), {"reason": "no"}).status_code == 403


def open_glass(browser, chat, reason=WHY):
    return browser.post(f"/admin/messaging/chat/{chat}/do/glass/", {"reason": reason})


@pytest.fixture
def private(ann, ben):
    for number in range(60):
        ann.say(ben, f"secret {number}!")
    return Message.objects.earliest("pk").chat_id


def test_a_private_chat_is_read_through_broken_glass(browser, private):
    chat = browser.get(f"/admin/messaging/chat/{private}/change/")
    assert "secret" not in text_of(chat)
    assert 'id="deed-glass"' in chat.content.decode()
    answer = open_glass(browser, private)
    opened = BreakGlass.objects.get()
    assert answer["Location"].endswith(f"/moderation/breakglass/{opened.pk}/change/")
    shown = browser.get(answer["Location"])
    assert "secret 59!" in text_of(shown)
    assert "secret 5!" not in text_of(shown)
    older = re.search(r'href="\?(before=\d+)#messages"', shown.content.decode())
    assert older
    assert "secret 5!" in text_of(browser.get(f"{answer['Location']}?{older[1]}"))
    reads = Entry.objects.filter(action="break_glass_read", actor_name="mod")
    assert reads.count() == 2
    do(browser, f"/admin/moderation/breakglass/{opened.pk}/do/close/")
    assert "secret" not in text_of(browser.get(answer["Location"]))


def test_broken_glass_leads_to_the_chat(browser, private):
    opened = open_glass(browser, private)["Location"]
    answer = browser.get(opened)
    assert f'href="/admin/messaging/chat/{private}/change/"' in answer.content.decode()
    # The page that is being shown is counted.
    assert re.search(r"Pages read\s+1\b", text_of(answer))
    assert BreakGlass.objects.get().pages_read == 1


def test_a_short_reason_is_sent_back(browser, private):
    answer = open_glass(browser, private, "because")
    assert answer.status_code == 200
    assert "Say why" in text_of(answer)
    assert not BreakGlass.objects.exists()


def test_another_moderator_sees_that_it_was_broken_and_no_message(browser, private):
    other = browser_of(staff("other", Role.MODERATOR))
    open_glass(other, private)
    url = f"/admin/moderation/breakglass/{BreakGlass.objects.get().pk}/change/"
    shown = text_of(browser.get(url))
    assert WHY in shown
    assert "Only other reads through this." in shown
    assert "secret" not in shown


def test_a_group_s_messages_are_read_on_request(browser, group):
    url = f"/admin/groups/group/{group}/change/"
    assert "buy this" not in text_of(browser.get(url))
    assert not Entry.objects.filter(action="chat_read").exists()
    assert "buy this" in text_of(browser.get(f"{url}?read=1"))
    assert Entry.objects.filter(action="chat_read").count() == 1


def test_a_group_is_frozen_unfrozen_and_left_by_whom_moderators_say(browser, group, ben):
    base = f"/admin/groups/group/{group}/do"
    do(browser, f"{base}/freeze/", reason="a raid")
    assert Chat.objects.get(pk=group).frozen_at
    do(browser, f"{base}/unfreeze/", reason="over")
    assert not Chat.objects.get(pk=group).frozen_at
    assert "Nobody by that name" in do(browser, f"{base}/remove/", reason="x", member="nobody")
    do(browser, f"{base}/remove/", reason="x", member="BEN")
    assert not Membership.objects.filter(chat=group, user=ben.id, last_seq=None).exists()


OWN = {
    "moderator": {"case", "redaction", "breakglass"},
    "operator": set(),
    "superuser": {"case", "redaction", "breakglass", "entry"},
    "nobody": set(),
}


@pytest.mark.parametrize("role", OWN)
def test_each_role_opens_its_pages_alone(role, case, private, transactional_db):
    user = {
        "moderator": lambda: staff("m", Role.MODERATOR),
        "operator": lambda: staff("o", Role.OPERATOR),
        "superuser": lambda: User.objects.create_superuser("s"),
        "nobody": lambda: make_user("clerk", is_staff=True),
    }[role]()
    viewer = browser_of(user)
    for label in (
        "moderation/case",
        "moderation/redaction",
        "moderation/breakglass",
        "audit/entry",
    ):
        name = label.partition("/")[2]
        expected = 200 if name in OWN[role] else 403
        assert viewer.get(f"/admin/{label}/").status_code == expected, label
    assert viewer.get("/admin/audit/entry/export/").status_code == (
        200 if role == "superuser" else 403
    )
    seen = viewer.get(page(case)).status_code
    assert (seen == 200) is ("case" in OWN[role])
    if role in ("operator", "nobody"):
        before = Entry.objects.count()
        for url in (
            deed(case, "ban"),
            f"/admin/messaging/chat/{private}/do/glass/",
            f"/admin/accounts/user/{case.user_id}/do/ban/",
        ):
            assert viewer.post(url, {"reason": WHY, "ends": "7"}).status_code in (403, 404)
        assert Entry.objects.count() == before


def test_who_is_not_staff_is_sent_to_the_login(ann, case):
    browser = browser_of(ann.user)
    for url in (QUEUE, page(case), deed(case, "ban"), "/admin/audit/entry/export/"):
        answer = browser.get(url)
        assert answer.status_code == 302
        assert "/admin/login/" in answer["Location"]


def test_a_post_without_the_form_s_token_is_refused(case, mod_user):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(mod_user)
    assert browser.post(deed(case, "ban"), {"reason": "x", "ends": "7"}).status_code == 403


def test_pages_cost_the_same_with_much_and_with_little_and_at_most_twenty(browser, case, ann, ben):
    root = browser_of(User.objects.create_superuser("root"))
    pages = {
        QUEUE: browser,
        f"{QUEUE}?state=all&q=ben": browser,
        page(case): browser,
        "/admin/moderation/redaction/": browser,
        "/admin/moderation/breakglass/": browser,
        f"/admin/groups/group/{case.chat_id}/change/?read=1": browser,
        f"/admin/accounts/user/{ben.id}/change/": browser,
        "/admin/audit/entry/": root,
        "/admin/audit/entry/?q=ben&action=ban&days=30": root,
    }

    def cost():
        found = {}
        for url, viewer in pages.items():
            viewer.get(url)
            with CaptureQueriesContext(connection) as captured:
                assert viewer.get(url).status_code == 200
            found[url] = len(
                [q for q in captured if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))]
            )
        return found

    few = cost()
    for _ in range(30):
        other = Person()
        services.report_user(reporter_id=ann.id, user_id=other.id, reason="spam")
        services.report_user(reporter_id=other.id, user_id=ben.id, reason="spam")
        ann.post("/add_user_to_group", group_id=str(case.chat_id), user_id=str(other.id))
        services.report_message(reporter_id=ann.id, chat_id=case.chat_id, seq=3, reason="spam")
    for number in range(60):
        ann.tell(case.chat_id, f"later {number}")
    many = cost()
    assert max(many.values()) <= 20, many
    for url, queries in many.items():
        assert queries <= few[url] + 1, (url, few[url], queries)
