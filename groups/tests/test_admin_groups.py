"""The admin's pages of groups: chats that are one, with their members; nothing to write."""

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.tests.factories import make_user
from groups.models import Group
from groups.services import create_group
from messaging import panels
from messaging.models import Chat, Membership
from messaging.services import send_text

pytestmark = pytest.mark.django_db

LIST = "/admin/groups/group/"


@pytest.fixture
def browser(client):
    client.force_login(User.objects.create_superuser("root", "seven wild swans"))
    return client


@pytest.fixture
def ada(transactional_db):
    return make_user("ada")


@pytest.fixture
def circle(ada):
    ben = make_user("ben")
    send_text(sender_id=ada.pk, recipient_id=ben.pk, text="no group")
    return create_group(owner_id=ada.pk, name="Circle", member_ids=[ben.pk])


def listed(browser, query=""):
    response = browser.get(LIST, {"q": query} if query else {})
    assert response.status_code == 200
    return [group.name for group in response.context["cl"].result_list]


def test_groups_alone_are_listed(browser, circle):
    assert listed(browser) == ["Circle"]


@pytest.mark.parametrize("query", ["Circle", "ada", "BEN"])
def test_found_by_name_or_member(browser, circle, query):
    assert listed(browser, query) == ["Circle"]


def test_a_private_chat_is_no_group(browser, circle, ada):
    private = Chat.objects.get(kind="private").pk
    assert listed(browser, str(private)) == []
    assert browser.get(f"{LIST}{private}/change/").status_code == 302


def test_a_group_shows_its_members_in_a_fixed_number_of_queries(browser, circle, ada):
    def asked():
        with CaptureQueriesContext(connection) as captured:
            page = browser.get(f"{LIST}{circle.group_id}/change/").content.decode()
        return len(captured), page

    asked()
    before, page = asked()
    assert str(ada.pk) in page
    assert "owner" in page
    for _ in range(30):
        Membership.objects.create(
            chat_id=circle.group_id, user=make_user(), first_seq=1, joined_at=circle.created_at
        )
    after, page = asked()
    assert after == before <= 5
    assert page.count(">Remove…</a>") == 32


def test_no_more_members_are_shown_than_a_page_bears(browser, circle, monkeypatch):
    monkeypatch.setattr(panels, "MEMBERS_SHOWN", 1)
    page = browser.get(f"{LIST}{circle.group_id}/change/").content.decode()
    assert "Only 1 are shown." in page
    assert page.count(">Remove…</a>") == 1


def test_the_list_walks_an_index_of_groups(browser, circle):
    # More than a page of them: only then has the statement a LIMIT.
    Group.objects.bulk_create(Group(kind="group", name=f"circle {n}") for n in range(60))
    with CaptureQueriesContext(connection) as captured:
        listed(browser)
    (page,) = [entry["sql"] for entry in captured if "LIMIT 50" in entry["sql"]]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {page}")
        assert "groups_newest_first" in "\n".join(line for (line,) in cursor.fetchall())


def test_nothing_can_be_written(browser, circle):
    url = f"{LIST}{circle.group_id}"
    assert browser.post(f"{url}/change/", {"name": "x"}).status_code == 403
    assert browser.post(f"{url}/delete/", {"post": "yes"}).status_code == 403
    assert browser.get(f"{LIST}add/").status_code == 403
    assert (
        browser.post(LIST, {"action": "delete_selected", "_selected_action": "1"}).status_code < 500
    )
    assert listed(browser) == ["Circle"]
