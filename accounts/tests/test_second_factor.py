"""The admin's second factor: set up, given, required, slowed, lost and taken away."""

import re
import time

import pytest
from django.core.management import CommandError, call_command
from django.test import Client, RequestFactory
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import factors, rights
from accounts.models import User
from accounts.tests.factories import PASSWORD
from audit.actors import acting
from audit.models import Action, Entry

pytestmark = pytest.mark.django_db(transaction=True)

GIVE, SET_UP = "/admin/second-factor/", "/admin/second-factor/set-up/"


def staff(name="ada", password=None, **fields):
    return User.objects.create_user(name, password, is_staff=True, **fields)


def browser(name="ada"):
    """Return a browser that has given the password."""
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def code_of(user, step=0):
    """Return the code of the moment, or of so many half minutes later."""
    device = TOTPDevice.objects.get(user=user)
    totp = TOTP(device.bin_key, device.step, device.t0, device.digits, device.drift)
    totp.time = time.time() + 30 * step
    return f"{totp.token():06}"


def wrong_code(user):
    near = {code_of(user, step) for step in range(-3, 4)}
    return next(f"{n:06}" for n in range(100) if f"{n:06}" not in near)


def enrol(user, client):
    client.get(SET_UP)
    page = client.post(SET_UP, {"code": code_of(user)})
    codes = re.findall(r"[a-z2-7]{4}(?:-[a-z2-7]{4}){3}", page.content.decode())
    assert len(codes) == 10, page.content.decode()
    # A code is taken once; tests don't wait for the next.
    TOTPDevice.objects.update(last_t=-1)
    return codes


def said(user):
    entries = Entry.objects.filter(action=Action.SECOND_FACTOR, target_id=str(user.pk))
    return [(entry.after or {})["second_factor"] for entry in entries.order_by("id")]


def leads_to(response, path):
    return response.status_code == 302 and response["Location"].startswith(path)


def test_without_one_a_password_is_enough_unless_it_is_required(settings):
    staff()
    client = browser()
    assert client.get("/admin/").status_code == 200
    settings.ADMIN_REQUIRE_SECOND_FACTOR = True
    assert leads_to(client.get("/admin/"), f"{SET_UP}?next=%2Fadmin%2F")
    assert leads_to(client.post("/admin/accounts/user/add/", {"username": "x"}), SET_UP)
    assert client.get(SET_UP).status_code == 200


def test_it_is_set_up_by_its_first_code_and_recovery_codes_are_shown_once(settings):
    settings.ADMIN_REQUIRE_SECOND_FACTOR = True
    ada, client = staff(is_superuser=True), browser()
    page = client.get(SET_UP)
    device = TOTPDevice.objects.get(user=ada)
    assert not device.confirmed
    assert factors.secret_of(device) in page.content.decode()
    assert 'src="data:image/svg+xml;base64,' in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    # Loading the page again does not make another secret than the one that was scanned.
    assert factors.secret_of(device) in client.get(SET_UP).content.decode()
    refused = client.post(SET_UP, {"code": wrong_code(ada)})
    assert b"not the code of this moment" in refused.content
    assert not factors.has_factor(ada)
    TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    codes = enrol(ada, client)
    assert factors.has_factor(ada)
    assert client.get("/admin/").status_code == 200
    assert codes[0] not in client.get(SET_UP).content.decode()
    assert said(ada) == ["enrolled"]


def test_who_has_one_gives_it_after_the_password_required_or_not():
    ada = staff(password=PASSWORD, is_superuser=True)
    enrol(ada, browser())
    client = Client()
    sent = {"username": "ada", "password": PASSWORD, "next": "/admin/"}
    assert client.post("/admin/login/", sent).status_code == 302
    for path in ("/admin/", "/admin/accounts/user/", "/admin/password_change/", SET_UP):
        response = client.get(path)
        assert leads_to(response, f"{GIVE}?next="), path
    before = client.session.session_key
    response = client.post(f"{GIVE}?next=/admin/accounts/user/", {"code": code_of(ada)})
    assert leads_to(response, "/admin/accounts/user/")
    assert client.get("/admin/accounts/user/").status_code == 200
    assert client.session.session_key != before
    # In this session alone.
    assert leads_to(browser().get("/admin/"), GIVE)
    client.post("/admin/logout/")
    assert leads_to(client.get("/admin/"), "/admin/login/")


def test_a_code_opens_once_and_only_for_its_user():
    ada, bob = staff(is_superuser=True), staff("bob")
    enrol(ada, browser())
    enrol(bob, browser("bob"))
    client = browser()
    assert b"not right" in client.post(GIVE, {"code": code_of(bob)}).content
    TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    code = code_of(ada)
    assert client.post(GIVE, {"code": f" {code[:3]} {code[3:]} "}).status_code == 302
    assert b"not right" in browser().post(GIVE, {"code": code}).content


def test_wrong_codes_make_the_next_wait_and_are_recorded():
    ada = staff()
    enrol(ada, browser())
    client = browser()
    for _ in range(3):
        TOTPDevice.objects.update(throttling_failure_timestamp=None)
        client.post(GIVE, {"code": wrong_code(ada)})
    response = client.post(GIVE, {"code": code_of(ada)})
    assert response.status_code == 200
    assert b"the next one is looked at in 4 seconds" in response.content
    assert leads_to(client.get("/admin/"), GIVE)
    assert said(ada) == ["enrolled", *["wrong code"] * 3]


def test_a_recovery_code_opens_once():
    ada = staff()
    codes = enrol(ada, browser())
    assert browser().post(GIVE, {"code": codes[0].upper()}).status_code == 302
    assert StaticToken.objects.count() == 9
    assert browser().post(GIVE, {"code": codes[0]}).status_code == 200
    assert said(ada)[1:] == ["right recovery code", "wrong recovery code"]


def test_new_recovery_codes_end_the_ones_before():
    ada = staff()
    client = browser()
    old = enrol(ada, client)
    page = client.post(SET_UP).content.decode()
    new = re.findall(r"[a-z2-7]{4}(?:-[a-z2-7]{4}){3}", page)
    assert len(new) == 10
    assert not set(old) & set(new)
    assert browser().post(GIVE, {"code": old[0]}).status_code == 200
    assert said(ada)[1] == "new recovery codes"


def test_a_password_alone_sets_up_no_other():
    ada = staff()
    enrol(ada, browser())
    thief = browser()
    for method in (thief.get, thief.post):
        assert leads_to(method(SET_UP), GIVE)
    assert TOTPDevice.objects.count() == 1
    assert factors.confirm(user=ada, code="000000") is None


def test_it_leads_nowhere_else():
    ada = staff()
    enrol(ada, browser())
    client = browser()
    response = client.post(GIVE, {"code": code_of(ada), "next": "https://evil.example/"})
    assert response["Location"] == "/admin/"


@pytest.mark.parametrize("path", [GIVE, SET_UP])
def test_it_is_for_the_staff(path):
    assert leads_to(Client().get(path), "/admin/login/")
    user = User.objects.create_user("bob")
    client = Client()
    client.force_login(user)
    assert leads_to(client.get(path), "/admin/login/")
    assert not TOTPDevice.objects.exists()


def test_a_superuser_takes_it_away_from_others_with_a_reason():
    root, ada = staff("root", is_superuser=True), staff()
    enrol(ada, browser())
    client = browser("root")
    page = client.get(f"/admin/accounts/user/{ada.pk}/change/").content.decode()
    assert "Take the second factor away" in page
    request = RequestFactory().get("/admin/")
    request.user = root
    with acting(request), pytest.raises(rights.NotToThem):
        factors.reset(user=root)
    request.user = ada
    with acting(request), pytest.raises(rights.NotYours):
        factors.reset(user=root)
    factors.reset(user=ada, reason="lost phone")
    assert not factors.has_factor(ada)
    assert browser().get("/admin/").status_code == 200
    entry = Entry.objects.filter(action=Action.SECOND_FACTOR).latest("id")
    assert (entry.reason, entry.after) == ("lost phone", {"second_factor": "taken away"})


def test_whoever_runs_the_server_takes_it_away(capsys):
    ada = staff()
    enrol(ada, browser())
    call_command("reset_second_factor", "ADA", reason="lost phone")
    assert "ada has no second factor any more" in capsys.readouterr().out
    assert not TOTPDevice.objects.exists()
    assert not StaticToken.objects.exists()
    with pytest.raises(CommandError, match="has no second factor"):
        call_command("reset_second_factor", "ada")
    with pytest.raises(CommandError, match="no user 'bob'"):
        call_command("reset_second_factor", "bob")


def test_secrets_are_on_no_page_of_the_admin():
    staff(is_superuser=True)
    client = browser()
    for path in ("/admin/otp_totp/totpdevice/", "/admin/otp_static/staticdevice/"):
        assert client.get(path).status_code == 404
