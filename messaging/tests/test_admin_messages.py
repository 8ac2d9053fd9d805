"""The admin's list of messages: by chat, by sender, never a walk through the whole table."""

import uuid

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from accounts.tests.factories import make_user
from messaging import admin
from messaging.models import Chat, Membership, Message
from messaging.services import send_text

pytestmark = pytest.mark.django_db

LIST = "/admin/messaging/message/"


@pytest.fixture
def browser(client):
    client.force_login(User.objects.create_superuser("root", "seven wild swans"))
    return client


def make_chat(*users, name="", texts=()):
    """Return a group of these users, who wrote these (sender, text) in turn."""
    chat = Chat.objects.create(
        kind="group", name=name, member_count=len(users), last_seq=len(texts)
    )
    now = timezone.now()
    for user in users:
        Membership.objects.create(chat=chat, user=user, first_seq=1, joined_at=now)
    Message.objects.bulk_create(
        Message(chat=chat, seq=n, sender=sender, kind="text", text=text, sent_at=now)
        for n, (sender, text) in enumerate(texts, 1)
    )
    return chat


def listed(browser, query=""):
    response = browser.get(LIST, {"q": query} if query else {})
    assert response.status_code == 200
    return [message.text for message in response.context["cl"].result_list]


@pytest.fixture
def two(transactional_db):
    ada, ben = make_user("ada"), make_user("Ben")
    first = make_chat(ada, ben, texts=[(ada, "a1"), (ben, "b2"), (ada, "a3")])
    second = make_chat(ada, ben, texts=[(ben, "b4"), (ada, "a5")])
    return ada, ben, first, second


def test_the_newest_come_first(browser, two):
    assert listed(browser) == ["a5", "b4", "a3", "b2", "a1"]


def test_by_chat(browser, two):
    assert listed(browser, str(two[2].pk)) == ["a3", "b2", "a1"]


@pytest.mark.parametrize("name", ["ben", "BEN", "Ben"])
def test_by_sender_name(browser, two, name):
    assert listed(browser, name) == ["b4", "b2"]


def test_by_sender_id(browser, two):
    assert listed(browser, str(two[1].pk)) == ["b4", "b2"]


def test_by_chat_and_sender_in_either_order(browser, two):
    ada, _, first, _ = two
    for query in (f"{first.pk} ada", f"ada {first.pk}", f"{first.pk} {ada.pk}"):
        assert listed(browser, query) == ["a3", "a1"]


@pytest.fixture
def dated(two):
    """Five messages of one chat: at 9:15, 9:15:30, 10:00, the next day at 0:00, and in a year."""
    ada = two[0]
    chat = make_chat(ada, texts=[(ada, f"d{n}") for n in range(1, 6)])
    times = ["24T09:15:00Z", "24T09:15:30Z", "24T10:00:00Z", "25T00:00:00Z"]
    for seq, time in enumerate([f"2026-11-{time}" for time in times] + ["2027-11-24T00:00Z"], 1):
        Message.objects.filter(chat=chat, seq=seq).update(sent_at=time)
    return chat


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("#2", ["d2"]), ("#9", []), ("#0", []),
        ("2026-11-24", ["d3", "d2", "d1"]), ("2026-11-25", ["d4"]), ("2026-11-26", []),
        ("2026-11-24T09", ["d2", "d1"]), ("2026-11-24T09:15", ["d2", "d1"]),
        ("2026-11-24T10:00", ["d3"]), ("2026-11-24T11", []), ("2025-01-01", []),
        ("2026-11-24 #1", ["d1"]), ("2026-11-24 #4", []), ("2026-11-24 ada", ["d3", "d2", "d1"]),
        ("2026-11-24 ben", []), ("#1 #2", []), ("2026-11-24 2026-11-25", []), ("2026-13-45", []),
    ],
)  # fmt: skip
def test_in_a_chat_by_place_and_time(browser, dated, query, found):
    assert listed(browser, f"{dated.pk} {query}") == found
    assert listed(browser, f"{query} {dated.pk}") == found


@pytest.mark.parametrize("query", ["#2", "2026-11-24", "2026-11-24 ada"])
def test_a_place_or_a_time_needs_a_chat(browser, dated, query):
    page = browser.get(LIST, {"q": query}).content.decode()
    assert "looked for in one chat" in page
    assert listed(browser, query) == []


def test_what_a_group_wrote_is_not_shown_to_superusers_either(browser, two):
    ada, _, first, _ = two
    Message.objects.update(text="said among us")
    message = Message.objects.filter(chat=first)[0]
    urls = (LIST, f"{LIST}?q={first.pk}", f"{LIST}?q={ada.pk}", f"{LIST}?q={first.pk}+%231")
    for url in (*urls, f"{LIST}{message.pk}/change/"):
        page = browser.get(url).content.decode()
        assert "said among" not in page, url
        assert "in a group" in page, url


def test_what_the_service_says_of_a_group_is_shown(browser, two):
    Message.objects.update(kind="system", text="joined", subject=two[0])
    assert "joined" in browser.get(LIST).content.decode()


def test_what_is_private_is_not_shown_here(browser, two):
    ada, ben, *_ = two
    low, high = sorted((ada, ben), key=lambda user: user.pk)
    chat = Chat.objects.create(kind="private", low=low, high=high, last_seq=1)
    Message.objects.create(
        chat=chat, seq=1, sender=ada, kind="text", text="between us", sent_at=timezone.now()
    )
    message = Message.objects.get(chat=chat)
    for url in (LIST, f"{LIST}?q={chat.pk}", f"{LIST}{message.pk}/change/"):
        page = browser.get(url).content.decode()
        assert "between us" not in page
        assert "private" in page


@pytest.mark.parametrize(
    "query",
    ["nobody", "b9ee5a9e-32e5-4d43-9f92-f8ba3055e8f7", "be", "a b c", "\ud800", "%", "' OR 1=1"],
)
def test_what_is_nothing_finds_nothing(browser, two, query):
    assert listed(browser, query.encode("utf-8", "replace").decode()) == []


def test_a_sender_who_left_is_found(browser, two):
    Membership.objects.filter(user=two[1]).update(last_seq=9, left_at=timezone.now())
    assert listed(browser, "ben") == ["b4", "b2"]


def test_a_sender_alone_is_looked_for_at_the_end_of_each_chat(browser, two, monkeypatch):
    monkeypatch.setattr(admin, "MESSAGES_SEARCHED", 2)
    assert listed(browser, "ada") == ["a5", "a3"]
    assert listed(browser, f"{two[2].pk} ada") == ["a3", "a1"]


@pytest.mark.parametrize("query", ["", "chat", "ada", "both"])
def test_the_number_of_queries_does_not_grow(browser, two, query):
    ada, _, first, _ = two
    query = {"chat": str(first.pk), "both": f"{first.pk} ada"}.get(query, query)

    def asked():
        with CaptureQueriesContext(connection) as captured:
            listed(browser, query)
        return [entry["sql"] for entry in captured]

    listed(browser, query)
    before = asked()
    Message.objects.bulk_create(
        Message(chat=first, seq=n, sender=ada, kind="text", text=f"m{n}", sent_at=timezone.now())
        for n in range(4, 120)
    )
    Chat.objects.filter(pk=first.pk).update(last_seq=119)
    after = asked()
    # Session and user, the search (a chat, a user, their latest), a look ahead, the page, senders.
    assert len(after) == len(before) <= 8
    for sql in after:
        assert "COUNT(" not in sql.upper()
        if 'FROM "messaging_message"' in sql:
            assert "LIMIT" in sql


@pytest.mark.parametrize("query", ["", "chat", "ada", "both"])
def test_no_statement_walks_the_table(browser, two, query):
    """As PostgreSQL would do it if sequential scans were dear, as they are on a million rows."""
    query = {"chat": str(two[2].pk), "both": f"{two[2].pk} ada"}.get(query, query)
    with CaptureQueriesContext(connection) as captured:
        listed(browser, query)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for entry in captured:
            if "messaging_message" in entry["sql"]:
                cursor.execute(f"EXPLAIN {entry['sql']}")
                plan = "\n".join(line for (line,) in cursor.fetchall())
                assert "Seq Scan" not in plan, plan


def test_no_order_of_the_url_sorts_the_table(browser, two):
    for order in ("1", "-2", "2.3", "x"):
        with CaptureQueriesContext(connection) as captured:
            browser.get(LIST, {"o": order})
        pages = [entry["sql"] for entry in captured if "LIMIT 50" in entry["sql"]]
        assert all('ORDER BY "messaging_message"."id" DESC' in sql for sql in pages)


def test_a_message_is_shown_whole_with_raw_ids(browser, two):
    ada, _, first, _ = two
    message = Message.objects.get(chat=first, seq=1)
    page = browser.get(f"{LIST}{message.pk}/change/").content.decode()
    for shown in (str(first.pk), str(ada.pk), "in a group"):
        assert shown in page
    assert "<select" not in page.partition('id="content"')[2].partition("<footer")[0]


def test_a_message_of_nobody_is_shown(browser, two):
    Message.objects.filter(text="b4").update(sender=uuid.uuid4())
    assert len(listed(browser)) == 5
    assert "nobody any more" in browser.get(LIST).content.decode()


def test_nothing_can_be_written(browser, two):
    message = Message.objects.get(text="a1")
    assert browser.post(f"{LIST}{message.pk}/change/", {"text": "x"}).status_code == 403
    assert browser.get(f"{LIST}add/").status_code == 403
    assert browser.post(f"{LIST}{message.pk}/delete/", {"post": "yes"}).status_code == 403
    message.refresh_from_db()
    assert message.text == "a1"


def test_it_is_for_staff_who_may(two):
    stranger = Client()
    assert stranger.get(LIST).status_code == 302
    stranger.force_login(make_user("staff", is_staff=True))
    assert stranger.get(LIST).status_code == 403


def test_times_are_shown_to_the_second(browser, two):
    Message.objects.update(sent_at="2026-01-02T03:04:05Z")
    assert "2026-01-02 03:04:05" in browser.get(LIST).content.decode()


def test_what_is_private_is_not_shown_to_superusers_either(browser, transactional_db):
    ada, ben = make_user("ada"), make_user("ben")
    send_text(sender_id=ada.pk, recipient_id=ben.pk, text="a secret", client_id="mine")
    message = Message.objects.get()
    for url in (
        LIST,
        f"{LIST}?q={message.chat_id}",
        f"{LIST}?q=ada",
        f"{LIST}{message.pk}/change/",
    ):
        page = browser.get(url).content.decode()
        assert "a secret" not in page
        assert "private" in page


@pytest.mark.parametrize(
    "time", ["9999-12-31", "9999-12-31T23", "9999-12-31T23:59", "0001-01-01", "0001-01-01T00"]
)
def test_a_time_at_the_end_of_the_calendar_is_none(browser, two, time):
    assert listed(browser, time) == []
    assert listed(browser, f"{two[2].pk} {time}") == []
