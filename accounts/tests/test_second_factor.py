"""The admin's second factor: set up, given, required, slowed, lost and taken away."""

import re
import time
from base64 import b32decode

import pytest
from django.core.management import CommandError, call_command
from django.test import Client, RequestFactory
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticToken

from accounts import factors, rights
from accounts.models import PhoneDevice, User
from accounts.tests.factories import PASSWORD
from audit.actors import acting
from audit.models import Action, Entry
from common.cache import cache
from common.tests.limits import about, let_pass
from common.tests.servers import full_cache, paused_cache

pytestmark = pytest.mark.django_db(transaction=True)

GIVE, SET_UP = "/admin/second-factor/", "/admin/second-factor/set-up/"
HOME, ELSEWHERE = "203.0.113.7", "198.51.100.9"
NEXT = "eleven white swans"


def staff(name="ada", password=None, **fields):
    return User.objects.create_user(name, password, is_staff=True, **fields)


def browser(name="ada", address="127.0.0.1"):
    """Return a browser that has given the password."""
    client = Client(REMOTE_ADDR=address)
    client.force_login(User.objects.get(username=name))
    return client


def code_by(secret, step=0):
    totp = TOTP(secret)
    totp.time = time.time() + 30 * step
    return f"{totp.token():06}"


def code_of(user, step=0):
    """Return the code of the moment, or of so many half minutes later."""
    return code_by(PhoneDevice.objects.get(user=user).bin_key, step)


def secret_on(page):
    """Return the secret that a page shows."""
    (text,) = re.findall(r"<code>([A-Z2-7 ]+)</code>", page.content.decode())
    text = text.replace(" ", "")
    return b32decode(text + "=" * (-len(text) % 8))


def wrong_code(user):
    near = {code_of(user, step) for step in range(-3, 4)}
    return next(f"{n:06}" for n in range(100) if f"{n:06}" not in near)


def enrol(user, client):
    page = client.post(SET_UP, {"code": code_by(secret_on(client.get(SET_UP)))})
    codes = re.findall(r"[a-z2-7]{4}(?:-[a-z2-7]{4}){3}", page.content.decode())
    assert len(codes) == 10, page.content.decode()
    # A code is taken once; tests don't wait for the next.
    PhoneDevice.objects.update(last_t=-1)
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
    assert 'src="data:image/svg+xml;base64,' in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    secret = secret_on(page)
    wrong = next(n for n in ("000000", "111111") if n != code_by(secret))
    refused = client.post(SET_UP, {"code": wrong})
    assert b"not the code of this moment" in refused.content
    # The phone has it by now.
    assert secret_on(refused) == secret
    assert not PhoneDevice.objects.exists()
    codes = enrol(ada, client)
    assert factors.has_factor(ada)
    assert client.get("/admin/").status_code == 200
    assert codes[0] not in client.get(SET_UP).content.decode()
    assert said(ada) == ["enrolled"]


def test_each_time_it_is_opened_the_page_shows_another_secret():
    staff()
    client = browser()
    first, second = (secret_on(client.get(SET_UP)) for _ in range(2))
    assert first != second
    assert client.post(SET_UP, {"code": code_by(first)}).status_code == 200
    assert not PhoneDevice.objects.exists()
    client.post(SET_UP, {"code": code_by(second)})
    assert PhoneDevice.objects.get().bin_key == second


def test_a_secret_is_its_session_s_alone():
    staff()
    thief, owner = browser(), browser()
    seen = secret_on(thief.get(SET_UP))
    assert secret_on(owner.get(SET_UP)) != seen
    owner.post(SET_UP, {"code": code_by(seen)})
    assert not PhoneDevice.objects.exists()
    # Nor is it kept anywhere that another session, or who asks the database for devices, finds.
    Client().post(SET_UP, {"code": code_by(seen)})
    browser().post(SET_UP, {"code": code_by(seen)})
    assert not PhoneDevice.objects.exists()


def test_a_secret_ends_with_the_session_and_with_the_password(settings):
    ada = staff(password=PASSWORD)
    client = browser()
    seen = secret_on(client.get(SET_UP))
    sent = {"old_password": PASSWORD, "new_password1": NEXT, "new_password2": NEXT}
    assert client.post("/admin/password_change/", sent).status_code == 302
    assert secret_on(client.post(SET_UP, {"code": code_by(seen)})) != seen
    seen = secret_on(client.get(SET_UP))
    client.post("/admin/logout/")
    client.force_login(User.objects.get(pk=ada.pk))
    assert secret_on(client.post(SET_UP, {"code": code_by(seen)})) != seen
    assert not PhoneDevice.objects.exists()


def test_a_secret_is_confirmed_within_a_quarter_of_an_hour(monkeypatch):
    staff()
    client = browser()
    seen = secret_on(client.get(SET_UP))
    monkeypatch.setattr(factors, "SECRET_SECONDS", -1)
    assert secret_on(client.post(SET_UP, {"code": code_by(seen)})) != seen
    assert not PhoneDevice.objects.exists()


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
    code = code_of(ada)
    assert client.post(GIVE, {"code": f" {code[:3]} {code[3:]} "}).status_code == 302
    assert b"not right" in browser().post(GIVE, {"code": code}).content


@pytest.fixture
def limited(settings):
    settings.LIMIT_FREE_ADDRESSES = ()
    settings.LIMIT_CODES_PER_HOUR = 3
    settings.LIMIT_CODES_PER_USER = 8


def give(client, code):
    return client.post(GIVE, {"code": code})


def hammer(user, addresses=20, code=None):
    """Try codes from so many addresses, each in a session of its own, as often as each is let."""
    code = code or wrong_code(user)
    found = []
    for n in range(addresses):
        client = browser(user.username, f"10.0.0.{n}")
        found += [give(client, code).status_code for _ in range(4)]
    return found


def test_wrong_codes_make_the_next_wait_and_are_recorded(limited):
    ada = staff()
    enrol(ada, browser())
    client = browser(address=HOME)
    assert [give(client, wrong_code(ada)).status_code for _ in range(3)] == [200] * 3
    response = give(client, code_of(ada))
    assert response.status_code == 429
    assert about(1200, response["Retry-After"])
    assert f"looked at in {response['Retry-After']} seconds" in response.content.decode()
    assert leads_to(client.get("/admin/"), GIVE)
    assert said(ada) == ["enrolled", "wrong code"]
    assert Entry.objects.get(action=Action.LOCKOUT).target_id == str(ada.pk)
    let_pass("codes", f"{ada.pk}:{HOME}", 1200)
    assert give(client, code_of(ada)).status_code == 429  # the session waits too
    assert give(browser(address=HOME), code_of(ada)).status_code == 302


def test_a_session_has_few_tries_from_wherever_it_is_used(limited):
    ada = staff()
    enrol(ada, browser())
    client = browser()
    found = [
        client.post(GIVE, {"code": wrong_code(ada)}, REMOTE_ADDR=f"10.0.0.{n}").status_code
        for n in range(5)
    ]
    assert found == [200] * 3 + [429] * 2


def test_an_address_has_few_tries_in_however_many_sessions(limited):
    ada = staff()
    enrol(ada, browser())
    found = [give(browser(address=HOME), wrong_code(ada)).status_code for _ in range(5)]
    assert found == [200] * 3 + [429] * 2


def test_the_owner_gets_in_while_a_thief_of_the_password_hammers(limited):
    ada = staff()
    codes = enrol(ada, browser())
    thief = browser(address=ELSEWHERE)
    for code in (wrong_code(ada), codes[0][:-1] + "1"):
        found = [give(thief, code).status_code for _ in range(6)]
        assert found == [200] * 3 + [429] * 3
    assert give(browser(address=HOME), code_of(ada)).status_code == 302


def test_many_addresses_get_few_tries_a_day_and_keep_the_owner_from_nothing(limited):
    ada = staff()
    codes = enrol(ada, browser())
    assert give(browser(address=HOME), code_of(ada)).status_code == 302
    assert sorted(hammer(ada)) == [200] * 8 + [429] * 72
    PhoneDevice.objects.update(last_t=-1)
    # Where a right one was given before, the code of the moment; from elsewhere a recovery code.
    assert give(browser(address=HOME), code_of(ada)).status_code == 302
    assert give(browser(address=ELSEWHERE), codes[0]).status_code == 302


def test_recovery_codes_have_a_count_of_their_own(limited):
    ada = staff()
    codes = enrol(ada, browser())
    client = browser(address=HOME)
    for _ in range(4):
        give(client, wrong_code(ada))
    assert give(client, code_of(ada)).status_code == 429
    assert give(client, codes[0]).status_code == 302


def test_a_right_code_takes_nothing(limited):
    ada = staff()
    enrol(ada, browser())
    for _ in range(5):
        PhoneDevice.objects.update(last_t=-1)
        assert give(browser(address=HOME), code_of(ada)).status_code == 302
    assert cache.execute("KEYS", "l:*codes:*") == []


def test_in_a_cache_that_is_full_codes_go_on_and_are_counted(limited):
    ada = staff()
    enrol(ada, browser())
    first, second = browser(address=HOME), browser(address=HOME)
    with full_cache():
        assert give(first, code_of(ada)).status_code == 302
        assert [give(second, wrong_code(ada)).status_code for _ in range(4)] == [200] * 3 + [429]


def test_without_a_cache_to_count_in_no_code_is_looked_at(limited):
    ada = staff()
    enrol(ada, browser())
    client = browser(address=HOME)
    with paused_cache():
        assert give(client, code_of(ada)).status_code == 503
    assert give(client, code_of(ada)).status_code == 302


@pytest.mark.parametrize("code", ["x" * 100_000, "１２３４５６", "-" * 9, "", "12 34 5", "\0" * 6])  # noqa: RUF001
def test_what_is_no_code_is_a_wrong_one(code):
    ada = staff()
    enrol(ada, browser())
    response = give(browser(), code)
    assert response.status_code == 200
    assert b"not right" in response.content


def test_a_recovery_code_opens_once():
    ada = staff()
    codes = enrol(ada, browser())
    assert browser().post(GIVE, {"code": codes[0].upper()}).status_code == 302
    assert StaticToken.objects.count() == 9
    assert browser().post(GIVE, {"code": codes[0]}).status_code == 200
    assert said(ada)[1:] == ["right recovery code", "wrong recovery code"]
    assert codes[0] not in str(list(Entry.objects.values()))


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
    assert PhoneDevice.objects.count() == 1


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
    assert not PhoneDevice.objects.exists()


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
    assert not PhoneDevice.objects.exists()
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
