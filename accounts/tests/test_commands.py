"""The commands for users: they do what the services do, and the audit log says who ran them."""

import getpass
import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.plugins.otp_static.models import StaticToken

from accounts.models import RecoveryDevice, User
from accounts.tests.factories import PASSWORD, client_of, make_token, make_user
from audit.actors import system_user
from audit.models import Action, ActorKind, Entry

pytestmark = pytest.mark.django_db(transaction=True)
NEXT = "eleven white swans"


def users(*args):
    """Run `manage.py users … --json` and return what it prints."""
    out = io.StringIO()
    call_command("users", *args, "--json", stdout=out)
    return json.loads(out.getvalue())


def entry(action):
    found = Entry.objects.get(action=action)
    assert (found.actor_kind, found.actor_name) == (ActorKind.COMMAND, system_user())
    return found


@pytest.fixture
def types(monkeypatch):
    """Have somebody type these at the prompts."""

    def type_(*answers):
        left = list(answers)
        monkeypatch.setattr(getpass, "getpass", lambda *_: left.pop(0))

    return type_


def test_createsuperuser_is_recorded_with_the_system_s_user(monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", "--noinput", "--username=root", stdout=io.StringIO())
    root = User.objects.get()
    assert root.is_superuser
    found = entry(Action.CREATE_USER)
    assert (found.target_id, found.after) == (str(root.pk), {"superuser": True})
    with pytest.raises(CommandError):
        call_command("createsuperuser", "--noinput", "--username=root", stdout=io.StringIO())
    assert Entry.objects.count() == 1


def test_changepassword_ends_tokens_and_sessions_and_is_recorded(types):
    ada = make_user("ada", password=PASSWORD)
    token, browser = make_token(ada), Client()
    browser.force_login(ada)
    types(NEXT, NEXT)
    call_command("changepassword", "ADA", "--reason=asked by phone", stdout=io.StringIO())
    ada.refresh_from_db()
    assert ada.check_password(NEXT)
    assert client_of(token=token).get("/users/me/").status_code == 401
    assert browser.get("/users/me/").status_code == 401
    found = entry(Action.RESET_PASSWORD)
    assert (found.target_id, found.reason) == (str(ada.pk), "asked by phone")
    assert NEXT not in str(found.__dict__)


@pytest.mark.parametrize("typed", [("x", "y") * 3, ("12345", "12345") * 3, ("", "")])
def test_changepassword_that_comes_to_nothing_changes_nothing(types, typed):
    ada = make_user("ada", password=PASSWORD)
    token = make_token(ada)
    types(*typed)
    with pytest.raises(CommandError):
        call_command("changepassword", "ada", stdout=io.StringIO(), stderr=io.StringIO())
    assert User.objects.get().check_password(PASSWORD)
    assert client_of(token=token).get("/users/me/").status_code == 200
    assert not Entry.objects.exists()
    with pytest.raises(CommandError, match="no user 'bob'"):
        call_command("changepassword", "bob")


def test_a_recovery_code_by_command_is_recorded_without_the_code():
    ada = make_user("ada")
    out = io.StringIO()
    call_command("addstatictoken", "ada", stdout=out)
    code = out.getvalue().strip()
    found = entry(Action.SECOND_FACTOR)
    assert found.target_id == str(ada.pk)
    assert code not in str(found.__dict__)
    assert code not in str(list(StaticToken.objects.values()))
    assert RecoveryDevice.objects.get().verify_token(code)
    assert not RecoveryDevice.objects.get().verify_token(code)
    for wrong in ("short", "with blanks here", "ümläut0123456789"):
        with pytest.raises(CommandError, match="16 letters and digits"):
            call_command("addstatictoken", "ada", token=wrong)
    with pytest.raises(CommandError, match="no user 'bob'"):
        call_command("addstatictoken", "bob")


def test_a_user_is_created(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    told = users(
        "create", "ada", "--display-name=Ada L.", "--password-stdin", "--reason=first of all"
    )
    ada = User.objects.get()
    assert (told["user_id"], told["username"], told["display_name"]) == (
        str(ada.pk),
        "ada",
        "Ada L.",
    )
    assert told["banned"] is False
    assert ada.check_password(PASSWORD)
    found = entry(Action.CREATE_USER)
    assert (found.target_id, found.reason) == (str(ada.pk), "first of all")
    users("create", "bob")
    assert not User.objects.get(username="bob").has_usable_password()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ADA", "taken"),
        ("a b", "username"),
        ("", "blank"),
        ("x" * 65, "64"),
        ("\u0301" * 99999, "characters"),
    ],
)
def test_a_user_that_can_t_be_is_refused_and_not_recorded(name, sentence):
    make_user("ada")
    with pytest.raises(CommandError, match=sentence):
        users("create", name)
    assert User.objects.count() == 1
    assert not Entry.objects.exists()


def test_a_weak_password_is_refused(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("12345\n"))
    with pytest.raises(CommandError, match="too short"):
        users("create", "ada", "--password-stdin")
    assert not User.objects.exists()


def test_a_user_is_banned_and_let_in_again():
    ada = make_user("ada")
    token = make_token(ada)
    told = users("ban", "Ada", "--days=3", "--reason=spam")
    assert (told["banned"], told["ban_reason"]) == (True, "spam")
    assert told["banned_until"]
    assert client_of(token=token).get("/users/me/").status_code == 401
    assert entry(Action.BAN).reason == "spam"
    told = users("unban", "ada", "--reason=a mistake")
    assert (told["banned"], told["banned_until"]) == (False, None)
    assert entry(Action.UNBAN).reason == "a mistake"


@pytest.mark.parametrize("days", ["0", "-1"])
def test_a_ban_ends_in_the_future(days):
    make_user("ada")
    with pytest.raises(CommandError, match="future"):
        users("ban", "ada", f"--days={days}")


def test_tokens_are_revoked():
    ada = make_user("ada")
    tokens = [make_token(ada) for _ in range(2)]
    assert users("revoke", "ada", "--reason=stolen laptop")["revoked_tokens"] == 2
    for token in tokens:
        assert client_of(token=token).get("/users/me/").status_code == 401
    assert entry(Action.REVOKE_TOKENS).reason == "stolen laptop"


def test_users_are_listed_the_newest_first():
    for name in ("ada", "bob"):
        make_user(name)
    make_user("root", is_staff=True)
    users("ban", "bob")
    assert [user["username"] for user in users("list")] == ["root", "bob", "ada"]
    assert [user["username"] for user in users("list", "--limit=1")] == ["root"]
    assert [user["username"] for user in users("list", "--banned")] == ["bob"]
    assert [user["username"] for user in users("list", "--staff")] == ["root"]
    out = io.StringIO()
    call_command("users", "list", stdout=out)
    assert "bob  banned for good" in out.getvalue()


@pytest.mark.parametrize("verb", ["ban", "unban", "revoke"])
def test_a_name_that_nobody_has_is_said(verb):
    with pytest.raises(CommandError, match="no user 'nobody'"):
        users(verb, "nobody")
