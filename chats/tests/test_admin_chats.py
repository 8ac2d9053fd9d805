"""The admin's pages of chats: found by id, name or member, with who is in them."""

import uuid

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from accounts.tests.factories import make_user
from chats.services import send_message
from messaging.models import Chat, Membership

pytestmark = pytest.mark.django_db

LIST = "/admin/messaging/chat/"


@pytest.fixture
def browser(client):
    client.force_login(User.objects.create_superuser("root", "seven wild swans"))
    return client


@pytest.fixture
def people(transactional_db):
    return make_user("ada"), make_user("ben"), make_user("caro")


@pytest.fixture
def chats(people):
    ada, ben, caro = people
    send_message(sender_id=ada.pk, recipient_id=ben.pk, text="hello")
    make_group(ada, caro)
    return Chat.objects.get(kind="private"), Chat.objects.get(kind="group")


def make_group(owner, *members):
    group = Chat.objects.create(kind="group", name="Circle", member_count=1 + len(members))
    for user in (owner, *members):
        role = "owner" if user == owner else "member"
        Membership.objects.create(
            chat=group, user=user, role=role, first_seq=1, joined_at=timezone.now()
        )
    return group


def listed(browser, query=""):
    response = browser.get(LIST, {"q": query} if query else {})
    assert response.status_code == 200
    return {chat.pk for chat in response.context["cl"].result_list}


def test_all_are_listed_the_newest_first(browser, chats):
    response = browser.get(LIST)
    assert [chat.kind for chat in response.context["cl"].result_list] == ["group", "private"]
    page = response.content.decode()
    assert "Circle" in page
    assert "ada and ben" in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("ada", {"private", "group"}), ("BEN", {"private"}), ("caro", {"group"}),
        ("Circle", {"group"}), ("circle", set()), ("Circ", set()), ("nobody", set()),
    ],
)  # fmt: skip
def test_found_by_whole_name(browser, chats, query, found):
    by_kind = {chat.kind: chat.pk for chat in chats}
    assert listed(browser, query) == {by_kind[kind] for kind in found}


def test_found_by_id_of_the_chat_or_a_member(browser, chats, people):
    private, group = chats
    assert listed(browser, str(private.pk)) == {private.pk}
    assert listed(browser, str(people[2].pk)) == {group.pk}
    assert listed(browser, str(uuid.uuid4())) == set()


@pytest.mark.parametrize("query", ["", "ada", "Circle"])
def test_the_number_of_queries_does_not_grow(browser, chats, people, query):
    def asked():
        with CaptureQueriesContext(connection) as captured:
            listed(browser, query)
        return [entry["sql"] for entry in captured]

    listed(browser, query)
    before = asked()
    for _ in range(60):
        make_group(people[0], people[1])
    after = asked()
    assert len(after) == len(before) <= 8
    assert not [sql for sql in after if "COUNT(" in sql.upper()]


@pytest.mark.parametrize("query", ["", "ada", "Circle"])
def test_no_statement_walks_a_table(browser, chats, people, query):
    # More than a page of them: only then has the statement a LIMIT.
    for _ in range(60):
        make_group(people[2])
    with CaptureQueriesContext(connection) as captured:
        listed(browser, query)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for entry in captured:
            if "messaging_" in entry["sql"]:
                cursor.execute(f"EXPLAIN {entry['sql']}")
                plan = "\n".join(line for (line,) in cursor.fetchall())
                assert "Seq Scan" not in plan, plan


def test_a_chat_shows_who_is_and_was_in_it(browser, chats, people):
    ada, _, caro = people
    group = chats[1]
    group.memberships.filter(user=caro).update(last_seq=7, left_at=timezone.now())
    page = browser.get(f"{LIST}{group.pk}/change/").content.decode()
    for shown in (str(ada.pk), str(caro.pk), "owner", "left", f"?q={group.pk}"):
        assert shown in page


def test_nothing_can_be_written(browser, chats):
    chat = chats[1]
    assert browser.post(f"{LIST}{chat.pk}/change/", {"name": "x"}).status_code == 403
    assert browser.get(f"{LIST}add/").status_code == 403
    assert browser.post(f"{LIST}{chat.pk}/delete/", {"post": "yes"}).status_code == 403
    chat.refresh_from_db()
    assert chat.name == "Circle"
