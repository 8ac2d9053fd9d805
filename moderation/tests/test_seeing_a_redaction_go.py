"""The page of a redaction shows which tiers the text is gone from, and asks until it is all."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.tests.factories import make_user
from groups.services import create_group, send_message_to_group
from messaging.models import Message
from moderation import redaction
from moderation.models import Redaction

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def group(transactional_db):
    ada = make_user("ada")
    made = create_group(owner_id=ada.pk, name="Circle")
    send_message_to_group(group_id=made.group_id, sender_id=ada.pk, text="my address is")
    return made


@pytest.fixture
def moderator(transactional_db):
    user = make_user("moderator", is_staff=True)
    user.groups.add(Group.objects.get(name="moderator"))
    browser = Client()
    browser.force_login(user)
    return browser


def steps(browser):
    return browser.get(f"/admin/moderation/redaction/{Redaction.objects.get().pk}/steps/")


def test_from_the_click_until_it_is_gone_everywhere(moderator, group, monkeypatch):
    monkeypatch.setattr(redaction, "hurry", lambda: None)
    url = f"/admin/groups/group/{group.group_id}/do/redact/"
    page = moderator.post(url, {"seq": "2", "reason": "An address."}, follow=True).content.decode()
    found = Redaction.objects.get()
    assert f'<a href="/admin/moderation/redaction/{found.pk}/change/">see how far</a>' in page
    page = moderator.get(f"/admin/moderation/redaction/{found.pk}/change/").content.decode()
    assert 'hx-trigger="every 2s"' in page
    assert 'data-done="no"' in steps(moderator).content.decode()
    redaction.carry_out()
    state = steps(moderator).content.decode()
    assert 'data-done="yes"' in state
    assert state.count(">done<") == 3
    assert "hx-get" not in state
    assert Message.objects.get(seq=2).text == ""


def test_it_is_for_who_may_see_redactions(group):
    redaction.redact_message(chat_id=group.group_id, seq=2, reason="An address.")
    assert steps(Client()).status_code == 302
    staff = Client()
    staff.force_login(make_user("staff", is_staff=True))
    assert steps(staff).status_code == 403


def test_of_none_there_are_no_steps(moderator):
    assert moderator.get("/admin/moderation/redaction/7/steps/").status_code == 404
