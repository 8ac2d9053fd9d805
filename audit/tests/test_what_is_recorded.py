"""Who, what, on whom, from where: as plain columns that outlive the people they name."""

import getpass

import pytest
from celery import shared_task
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.test import Client

from audit.actors import current, of_request, process
from audit.models import Action, ActorKind, Entry
from audit.services import Target, record
from common.cache import cache

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "seven wild swans"
LOGIN = "/admin/login/?next=/admin/"


def make_user(username, **fields):
    return get_user_model().objects.create_user(username, **fields)


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.close()
    cache.execute("FLUSHDB")


@pytest.fixture
def root(transactional_db):
    return get_user_model().objects.create_superuser("root", PASSWORD)


def log_in(browser, username, password, **headers):
    data = {"username": username, "password": password}
    return browser.post(LOGIN, data, REMOTE_ADDR="192.0.2.7", **headers)


def entries(*actions):
    return list(Entry.objects.filter(action__in=actions).order_by("pk"))


def test_by_hand_it_is_the_system_s_user(transactional_db):
    entry = record(Action.BACKUP)
    assert (entry.actor_kind, entry.actor_id) == (ActorKind.COMMAND, None)
    assert entry.actor_name.startswith(getpass.getuser())


def test_a_task_is_named(transactional_db):
    seen = []

    @shared_task(name="audit.tests.who")
    def who():
        seen.append(process())

    who.apply()
    assert [(actor.kind, actor.name) for actor in seen] == [(ActorKind.TASK, "audit.tests.who")]
    assert current().kind == ActorKind.COMMAND


def test_a_login_to_the_admin_names_user_address_and_session(root):
    browser = Client()
    log_in(browser, "root", PASSWORD)
    (entry,) = entries(Action.LOGIN)
    assert (entry.actor_kind, entry.actor_id, entry.actor_name) == ("user", root.pk, "root")
    assert entry.address == "192.0.2.7"
    assert len(entry.session) == 16
    assert f"{browser.session.session_key}" not in str(entry.__dict__)


def test_a_logout_is_recorded(root):
    browser = Client()
    log_in(browser, "root", PASSWORD)
    browser.post("/admin/logout/")
    (entry,) = entries(Action.LOGOUT)
    assert entry.actor_id == root.pk


def test_a_failed_login_to_the_admin_is_recorded_without_what_was_typed(root):
    log_in(Client(), "root", "wrong horse")
    cache.execute("FLUSHDB")  # an entry a minute and address: see test_what_strangers_cause.py
    log_in(Client(), "hunter2 typed in the wrong field", "x")
    known, unknown = entries(Action.LOGIN_FAILED)
    assert (known.actor_kind, known.target_name, known.target_id) == (
        "nobody",
        "root",
        str(root.pk),
    )
    assert (unknown.target_name, unknown.address) == ("", "192.0.2.7")
    assert "horse" not in str(known.__dict__)
    assert "hunter2" not in str(unknown.__dict__)


def test_a_staff_member_s_login_by_another_door_is_recorded_and_nobody_else_s(root):
    make_user("ada", password=PASSWORD)
    for name, password in (("root", PASSWORD), ("root", "x"), ("ada", PASSWORD), ("ada", "x")):
        Client().post("/browse/login/", {"username": name, "password": password})
    assert [entry.action for entry in Entry.objects.order_by("pk")] == ["login", "login_failed"]


def test_what_the_admin_s_own_log_notes_is_recorded_with_the_request(root):
    browser = Client()
    browser.force_login(root)
    ada = make_user("ada")
    browser.post(f"/admin/accounts/user/{ada.pk}/change/", {"is_staff": "on"}, REMOTE_ADDR="::1")
    (entry,) = entries(Action.ADMIN_CHANGE)
    assert (entry.actor_id, entry.address) == (root.pk, "::1")
    assert (entry.target_kind, entry.target_id, entry.target_name) == ("user", str(ada.pk), "ada")


def test_the_admin_s_log_outside_a_request_is_recorded_too(root):
    LogEntry.objects.log_actions(root.pk, [root], CHANGE, "by hand", single_object=True)
    assert entries(Action.ADMIN_CHANGE)[0].after == {"note": "by hand"}


def test_an_entry_outlives_the_user_it_names(root):
    record(Action.BAN, target=root)
    record(Action.BAN, by=of_request(_request(root)))
    root.delete()
    assert {entry.target_name or entry.actor_name for entry in entries(Action.BAN)} == {"root"}


def test_names_that_are_too_long_or_hold_nul_are_cut(transactional_db):
    entry = record(Action.BAN, target=Target("user", "", "a\0b" + "x" * 500), reason="\0r")
    entry.refresh_from_db()
    assert len(entry.target_name) == 160
    assert entry.target_name.startswith("abx")
    assert entry.reason == "r"


def _request(user):
    from django.test import RequestFactory

    request = RequestFactory().get("/")
    request.user = user
    return request
