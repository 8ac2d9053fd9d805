"""What moderators do from a user's page: each asks why, and says what it did."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import services
from accounts.models import Block, Token, User
from accounts.tests.factories import PASSWORD, client_of, make_token, make_user
from audit.models import Action, Entry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ada(transactional_db):
    return make_user("ada", password=PASSWORD)


@pytest.fixture
def moderator(transactional_db):
    user = make_user("moderator", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(
            codename__in=[
                *("view_user", "change_user", "view_token", "view_block", "delete_block"),
                "view_entry",
            ]
        )
    )
    browser = Client()
    browser.force_login(user)
    return browser


def page_of(thing):
    return f"/admin/{thing._meta.app_label}/{thing._meta.model_name}/{thing.pk}/"


def do(browser, thing, deed, **data):
    return browser.post(f"{page_of(thing)}do/{deed}/", data, follow=True)


def said(response):
    return response.content.decode()


def offered(browser, thing):
    page = browser.get(f"{page_of(thing)}change/")
    return {deed.name for deed in page.context["deeds"]}


def test_a_ban_has_a_reason_and_an_end(moderator, ada):
    client = client_of(ada)
    assert client.get("/users/me/").status_code == 200
    page = do(moderator, ada, "ban", reason="Spam.", ends="7")
    assert "ada is banned until" in said(page)
    assert client.get("/users/me/").status_code == 401
    ada.refresh_from_db()
    assert ada.ban_reason == "Spam."
    assert timedelta(days=6) < ada.banned_until - timezone.now() < timedelta(days=8)
    entry = Entry.objects.get(action=Action.BAN)
    assert (entry.actor_name, entry.reason, entry.target_id) == ("moderator", "Spam.", str(ada.pk))
    assert "Spam." in said(page)


def test_a_ban_may_be_for_good(moderator, ada):
    assert "banned for good" in said(do(moderator, ada, "ban", reason="Spam.", ends="never"))
    ada.refresh_from_db()
    assert (ada.is_active, ada.banned_until) == (False, None)


def test_a_ban_may_end_on_a_date(moderator, ada):
    do(moderator, ada, "ban", reason="Spam.", ends="date", until="2031-05-06T07:08")
    ada.refresh_from_db()
    assert f"{ada.banned_until:%Y-%m-%d %H:%M}" == "2031-05-06 07:08"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"reason": "", "ends": "7"}, "This field is required."),
        ({"reason": "  ", "ends": "7"}, "This field is required."),
        ({"reason": "x" * 1001, "ends": "7"}, "at most 1000 characters"),
        ({"reason": "Spam.", "ends": "date"}, "Say when the ban ends"),
        ({"reason": "Spam.", "ends": "date", "until": "soon"}, "Enter a valid date/time."),
        ({"reason": "Spam.", "ends": "date", "until": "2020-01-01T00:00"}, "end in the future"),
        ({"reason": "Spam.", "ends": "5"}, "Select a valid choice."),
        ({"reason": "Spam."}, "This field is required."),
    ],
)
def test_a_bad_ban_is_sent_back_with_the_reason(moderator, ada, data, sentence):
    page = do(moderator, ada, "ban", **data)
    assert page.status_code == 200
    assert sentence in said(page)
    ada.refresh_from_db()
    assert ada.is_active


def test_a_ban_s_terms_can_be_changed_and_it_lifted(moderator, ada):
    services.ban_user(user=ada, reason="first")
    assert offered(moderator, ada) == {"terms", "unban", "revoke"}
    do(moderator, ada, "terms", reason="second", ends="1")
    ada.refresh_from_db()
    assert ada.ban_reason == "second"
    assert ada.banned_until is not None
    assert "ada may log in again." in said(do(moderator, ada, "unban", reason="A mistake."))
    ada.refresh_from_db()
    assert ada.is_active
    assert Entry.objects.filter(action=Action.UNBAN, reason="A mistake.").exists()


def test_logging_somebody_out_everywhere(moderator, ada):
    client = client_of(ada)
    assert "1 token revoked" in said(do(moderator, ada, "revoke", reason="Lost phone."))
    assert client.get("/users/me/").status_code == 401
    ada.refresh_from_db()
    assert ada.is_active


def test_what_needs_another_right_is_not_offered(moderator, ada):
    assert offered(moderator, ada) == {"ban", "revoke"}
    assert do(moderator, ada, "unban", reason="x").status_code == 403
    assert do(moderator, ada, "nothing", reason="x").status_code == 403
    assert do(moderator, ada, "password").status_code == 403
    boss = User.objects.create_superuser("root", PASSWORD)
    assert offered(moderator, boss) == set()
    assert do(moderator, boss, "ban", reason="x", ends="never").status_code == 403
    boss.refresh_from_db()
    assert boss.is_active


def test_a_viewer_is_offered_nothing(ada):
    viewer = make_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_user"))
    browser = Client()
    browser.force_login(viewer)
    page = browser.get(f"{page_of(ada)}change/")
    assert page.context["deeds"] == page.context["panels"] == []
    assert do(browser, ada, "ban", reason="x", ends="7").status_code == 403


def test_nobody_else_finds_the_pages(ada):
    assert Client().get(f"{page_of(ada)}do/ban/").status_code == 302
    stranger = Client()
    stranger.force_login(make_user("stranger"))
    assert stranger.get(f"{page_of(ada)}do/ban/").status_code == 302
    staff = Client()
    staff.force_login(make_user("staff", is_staff=True))
    assert staff.get(f"{page_of(ada)}do/ban/").status_code == 404


def test_of_nobody_there_is_nothing_to_do(moderator, ada):
    url = page_of(ada).replace(str(ada.pk), "01a20cc2-47bb-7639-8316-8a00ac8eca87")
    assert moderator.get(f"{url}do/ban/").status_code == 404
    assert moderator.get("/admin/accounts/user/nonsense/do/ban/").status_code == 404


def test_looking_at_the_form_does_nothing(moderator, ada):
    page = moderator.get(f"{page_of(ada)}do/ban/")
    assert "logged out everywhere" in said(page)
    ada.refresh_from_db()
    assert ada.is_active


def test_a_block_is_lifted_with_a_reason(moderator, ada):
    block = Block.objects.create(blocker=ada, blocked=make_user("ben"))
    assert "This field is required" in said(do(moderator, block, "lift"))
    assert "ada no longer blocks ben." in said(do(moderator, block, "lift", reason="Asked to."))
    assert not Block.objects.exists()
    assert Entry.objects.get(action=Action.LIFT_BLOCK).reason == "Asked to."


def test_one_token_is_revoked(moderator, ada):
    make_token(ada)
    token = Token.objects.get()
    assert "revoked" in said(do(moderator, token, "revoke", reason="Leaked."))
    assert offered(moderator, token) == set()
    assert Entry.objects.get(action=Action.REVOKE_TOKENS).reason == "Leaked."


def test_no_block_against_oneself_is_lifted_by_any_page(moderator, ada):
    me = User.objects.get(username="moderator")
    block = Block.objects.create(blocker=ada, blocked=me)
    assert offered(moderator, block) == set()
    assert do(moderator, block, "lift", reason="Let me.").status_code == 403
    sent = {"action": "lift", "reason": "Let me.", "_selected_action": [str(block.pk)]}
    page = moderator.post("/admin/accounts/block/", sent, follow=True)
    assert "Not done: ada blocks moderator." in said(page)
    assert Block.objects.filter(pk=block.pk).exists()


def test_an_action_on_many_asks_why(moderator, ada):
    data = {"action": "ban", "_selected_action": [str(ada.pk)]}
    page = moderator.post("/admin/accounts/user/", data, follow=True)
    assert "Nothing was done: say why." in said(page)
    ada.refresh_from_db()
    assert ada.is_active


def test_no_action_is_done_to_more_than_a_page_of_rows(moderator, ada):
    sent = {"action": "ban", "reason": "everybody", "_selected_action": [str(ada.pk)]}
    for more in ({"select_across": "1"}, {"_selected_action": [str(ada.pk)] * 51}):
        assert moderator.post("/admin/accounts/user/", sent | more).status_code == 400
    ada.refresh_from_db()
    assert ada.is_active
    moderator.post("/admin/accounts/user/", sent | {"select_across": "0"})
    ada.refresh_from_db()
    assert not ada.is_active


def test_a_user_s_page_shows_blocks_tokens_and_what_was_done_in_few_queries(moderator, ada):
    def asked():
        with CaptureQueriesContext(connection) as captured:
            page = moderator.get(f"{page_of(ada)}change/")
        assert page.status_code == 200
        return len(captured), said(page)

    asked()
    before, _ = asked()
    for number in range(25):
        Block.objects.create(blocker=ada, blocked=make_user(f"blocked{number}"))
        Block.objects.create(blocker=make_user(f"blocking{number}"), blocked=ada)
        make_token(ada)
    services.ban_user(user=ada, reason="Because <b>so</b>.")
    after, page = asked()
    assert after == before <= 20
    assert "blocked24" in page
    assert "blocking24" in page
    assert "Because &lt;b&gt;so&lt;/b&gt;." in page


@pytest.fixture
def root(transactional_db):
    browser = Client()
    browser.force_login(User.objects.create_superuser("root", PASSWORD))
    return browser


def test_a_change_of_rights_is_recorded_from_what_to_what(root, ada):
    role, _ = Group.objects.get_or_create(name="moderator")
    data = {"is_staff": "on", "groups": [str(role.pk)], "reason": "Joins us."}
    page = root.post(f"{page_of(ada)}change/", data, follow=True)
    assert page.status_code == 200
    ada.refresh_from_db()
    assert ada.is_staff
    entry = Entry.objects.get(action=Action.CHANGE_ROLE)
    assert (entry.actor_name, entry.target_id, entry.reason) == ("root", str(ada.pk), "Joins us.")
    assert entry.before == {"staff": False, "superuser": False, "roles": []}
    assert entry.after == {"staff": True, "superuser": False, "roles": ["moderator"]}
    root.post(f"{page_of(ada)}change/", data)
    assert Entry.objects.filter(action=Action.CHANGE_ROLE).count() == 1


def test_nobody_changes_their_own_rights(root):
    me = User.objects.get(username="root")
    root.post(f"{page_of(me)}change/", {"reason": "x"})
    me.refresh_from_db()
    assert me.is_superuser
    assert me.is_staff
    assert 'name="is_staff"' not in said(root.get(f"{page_of(me)}change/"))


def test_a_role_says_what_it_may_and_who_has_it(root, ada):
    role, _ = Group.objects.get_or_create(name="helpers")
    role.permissions.add(Permission.objects.get(codename="view_block"))
    ada.groups.add(role)
    page = said(root.get(f"{page_of(role)}change/"))
    assert "view block (accounts)" in page
    assert ">ada</a>" in page
