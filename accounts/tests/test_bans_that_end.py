"""A ban has a reason and may have an end; it ends by itself, and what it ended stays ended."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from accounts import services, standing, tasks
from accounts.models import User
from accounts.tests.factories import PASSWORD, client_of, fault, make_user
from audit.models import Action, Entry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def user(transactional_db):
    return make_user("ada", password=PASSWORD)


def ban_until_a_moment_ago(user):
    services.ban_user(user=user, reason="spam", until=timezone.now() + timedelta(hours=1))
    User.objects.update(banned_until=timezone.now() - timedelta(seconds=1))
    user.refresh_from_db()


def login():
    return client_of().post("/login", {"username": "ada", "password": PASSWORD}, format="json")


def browse():
    browser = Client()
    browser.post("/browse/login/", {"username": "ada", "password": PASSWORD})
    return browser.get("/users/me/").status_code


def actions():
    return list(Entry.objects.order_by("pk").values_list("action", flat=True))


def test_a_ban_keeps_its_reason_and_end(user):
    until = timezone.now() + timedelta(days=3)
    services.ban_user(user=user, reason="spam", until=until)
    user.refresh_from_db()
    assert (user.is_active, user.ban_reason, user.banned_until) == (False, "spam", until)
    assert fault(login())[:2] == (401, "wrong_credentials")
    assert browse() == 401
    entry = Entry.objects.get()
    assert (entry.action, entry.target_id, entry.reason) == (Action.BAN, str(user.pk), "spam")
    assert entry.before == {"banned": False, "reason": "", "until": None}
    assert (entry.after or {})["banned"] is True


def test_a_ban_that_ends_before_it_begins_is_refused(user):
    with pytest.raises(ValidationError):
        services.ban_user(user=user, until=timezone.now())
    user.refresh_from_db()
    assert user.is_active
    assert actions() == []


def test_who_logs_in_after_the_end_is_let_in_though_no_task_has_run(user):
    ban_until_a_moment_ago(user)
    assert login().status_code == 200
    user.refresh_from_db()
    assert (user.is_active, user.banned_at, user.banned_until, user.ban_reason) == (
        True,
        None,
        None,
        "",
    )
    assert actions() == [Action.BAN, Action.BAN_ENDED]


def test_so_is_who_comes_with_a_browser(user):
    ban_until_a_moment_ago(user)
    assert browse() == 200


def test_a_wrong_password_ends_no_ban(user):
    ban_until_a_moment_ago(user)
    body = {"username": "ada", "password": "wrong"}
    assert client_of().post("/login", body, format="json").status_code == 401
    user.refresh_from_db()
    assert not user.is_active


def test_the_task_ends_what_is_over_and_nothing_else(user):
    ban_until_a_moment_ago(user)
    later, ever = make_user("later"), make_user("ever")
    services.ban_user(user=later, until=timezone.now() + timedelta(hours=1))
    services.ban_user(user=ever)
    assert tasks.end_bans() == 1
    assert tasks.end_bans() == 0
    assert list(User.objects.filter(is_active=True)) == [user]


def test_a_ban_prolonged_meanwhile_goes_on(user):
    ban_until_a_moment_ago(user)
    services.ban_user(user=User.objects.get(), until=timezone.now() + timedelta(hours=1))
    assert not standing.unban_if_over(user)
    assert login().status_code == 401


def test_new_terms_replace_the_old_and_the_first_moment_stays(user):
    services.ban_user(user=user, reason="spam", until=timezone.now() + timedelta(hours=1))
    first = user.banned_at
    services.ban_user(user=user)
    assert (user.banned_at, user.banned_until, user.ban_reason) == (first, None, "spam")
    assert (Entry.objects.latest("pk").before or {})["until"] is not None
    assert actions() == [Action.BAN, Action.BAN]


def test_the_same_again_leaves_no_trace(user):
    services.ban_user(user=user, reason="spam")
    services.ban_user(user=user, reason="spam")
    services.unban_user(user=user)
    services.unban_user(user=user)
    assert actions() == [Action.BAN, Action.UNBAN]


@pytest.mark.parametrize("end", [services.unban_user, tasks.end_bans])
def test_a_session_from_before_a_ban_does_not_work_after_it(user, end):
    browser = Client()
    browser.force_login(user)
    assert browser.get("/users/me/").status_code == 200
    ban_until_a_moment_ago(user)
    end(user=user) if end is services.unban_user else end()
    assert browser.get("/users/me/").status_code == 401
    assert browse() == 200


def test_a_session_of_the_admin_ends_with_a_ban_and_stays_ended():
    root = User.objects.create_superuser("root", PASSWORD)
    browser = Client()
    browser.force_login(root)
    assert browser.get("/admin/").status_code == 200
    services.ban_user(user=root)
    assert browser.get("/admin/").status_code == 302
    services.unban_user(user=root)
    assert browser.get("/admin/").status_code == 302


def test_revoking_tokens_ends_browser_sessions_too(user):
    browser, client = Client(), client_of(user)
    browser.force_login(user)
    assert services.revoke_tokens(user=user, reason="stolen laptop") == 1
    assert browser.get("/users/me/").status_code == client.get("/users/me/").status_code == 401
    entry = Entry.objects.get()
    assert (entry.action, entry.reason, entry.after) == (
        "revoke_tokens",
        "stolen laptop",
        {"tokens": 1},
    )


def test_a_new_password_ends_tokens_and_sessions(user):
    browser, client = Client(), client_of(user)
    browser.force_login(user)
    services.reset_password(user=user, password="eleven white swans")
    assert browser.get("/users/me/").status_code == client.get("/users/me/").status_code == 401
    assert login().status_code == 401
    user.refresh_from_db()
    assert user.check_password("eleven white swans")
    entry = Entry.objects.get()
    assert (entry.action, entry.after) == ("reset_password", {"password": True, "tokens": 1})
    assert "swans" not in str(entry.__dict__)


def test_a_weak_password_changes_nothing(user):
    client = client_of(user)
    with pytest.raises(ValidationError):
        services.reset_password(user=user, password="123")
    assert client.get("/users/me/").status_code == 200
    assert login().status_code == 200


def test_a_password_can_be_taken_away(user):
    services.reset_password(user=user, password=None)
    user.refresh_from_db()
    assert not user.has_usable_password()
