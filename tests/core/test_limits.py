"""What users may do how often: on each route, both ways through it, and at no further cost."""

import pytest
from django.test import Client

from accounts import services as accounts
from common import counts
from common.cache import cache
from common.limits import MINUTE
from common.tests.limits import about, key_of, let_pass, says
from common.tests.servers import full_cache, paused_cache
from messaging.models import Chat, Message
from tests.core.people import Person
from tests.core.test_budgets import counted

pytestmark = pytest.mark.django_db(transaction=True)

BROWSER = {"HTTP_ACCEPT": "application/json; indent=1, text/html;q=0"}
"""Makes a request that the short way declines."""


@pytest.fixture(autouse=True)
def _for_everybody(settings):
    settings.LIMIT_FREE_ADDRESSES = ()


@pytest.fixture
def pair(sweeper):
    ada, bob = Person("ada"), Person("bob")
    bob.poll()
    ada.say(bob, "the first opens the chat")
    ada.poll()
    bob.poll()
    bob.poll()
    return ada, bob


def check_refused(response, name, quota, window, wait):
    assert response.status_code == 429, response.content
    body = response.json()
    assert body["type"] == "client_error"
    assert [(error["code"], error["attr"]) for error in body["errors"]] == [("throttled", None)]
    assert about(wait, response["Retry-After"])
    assert f"Try again in {response['Retry-After']} second" in body["errors"][0]["detail"]
    assert response["RateLimit-Policy"] == f'"{name}";q={quota};w={window}'
    assert response["RateLimit"] == f'"{name}";r=0;t={response["Retry-After"]}'


def counted_refusals(name):
    return counts.total(None).get(("strata_limited_total", (name,)), [0])[0]


@pytest.mark.parametrize("way", [{}, BROWSER], ids=["short", "long"])
def test_each_refusal_is_counted_once_whatever_answers_it(pair, settings, way):
    ada, bob = pair
    for setting in ("SENDS", "POLLS", "READS", "WRITES"):
        setattr(settings, f"LIMIT_{setting}_PER_MINUTE", 1)
    cache.execute("FLUSHDB")
    ada.client.post("/get_messages", {"cursor": ada.cursor}, format="json", **way)
    asked = {
        "sends": lambda: ada.client.post(
            "/send_message", {"recipient_id": bob.id, "text": "x"}, format="json", **way
        ),
        "polls": lambda: ada.client.post(
            "/get_messages", {"cursor": ada.cursor}, format="json", **way
        ),
        "reads": lambda: ada.client.get("/chats/", **way),
        "writes": lambda: ada.client.post(
            "/block_user", {"user_id": bob.id}, format="json", **way
        ),
    }  # fmt: skip
    for name, ask in asked.items():
        ask()
        before = counted_refusals(name)
        assert [ask().status_code for _ in range(3)] == [429] * 3, name
        assert counted_refusals(name) == before + 3, name


@pytest.mark.parametrize("way", [{}, BROWSER], ids=["short", "long"])
def test_sends(pair, settings, way):
    ada, bob = pair
    settings.LIMIT_SENDS_PER_MINUTE = 3
    body = {"recipient_id": bob.id, "text": "hi"}
    for left in (2, 1, 0):
        response = ada.client.post("/send_message", body, format="json", **way)
        assert response.status_code == 201
        assert response["RateLimit-Policy"] == '"sends";q=3;w=60'
        assert says(response, "sends", left, 20)
    check_refused(
        ada.client.post("/send_message", body, format="json", **way), "sends", 3, MINUTE, 20
    )
    assert Message.objects.filter(sender=ada.user).count() == 4
    # Into a group or to a user, by one device or another: it is one user's.
    group_id = ada.group(bob)
    again = Person.again(ada)
    response = again.client.post(
        "/send_message_to_group", {"group_id": group_id, "text": "hi"}, format="json", **way
    )
    check_refused(response, "sends", 3, MINUTE, 20)
    assert bob.post("/send_message", recipient_id=ada.id, text="hi").status_code == 201
    let_pass("sends", ada.id, 20)
    assert ada.client.post("/send_message", body, format="json", **way).status_code == 201


def test_a_refused_send_is_sent_once_when_it_is_repeated(pair, settings):
    ada, bob = pair
    settings.LIMIT_SENDS_PER_MINUTE = 1
    body = {"recipient_id": bob.id, "text": "once", "client_id": "c"}
    assert ada.post("/send_message", **body).status_code == 201
    # Also what was sent already waits: to know, the database would have to be asked.
    assert ada.post("/send_message", **body).status_code == 429
    let_pass("sends", ada.id, 60)
    assert ada.post("/send_message", **body).status_code == 200
    assert Message.objects.filter(text="once").count() == 1


@pytest.mark.parametrize("way", [{}, BROWSER], ids=["short", "long"])
def test_polls(pair, settings, way):
    ada, bob = pair
    settings.LIMIT_POLLS_PER_MINUTE = 2
    cache.execute("DEL", key_of("polls", bob.id))
    body = {"cursor": bob.cursor}
    for left in (1, 0):
        response = bob.client.post("/get_messages", body, format="json", **way)
        assert response.status_code == 200
        assert says(response, "polls", left, 30)
    ada.say(bob, "news")
    check_refused(
        bob.client.post("/get_messages", body, format="json", **way), "polls", 2, MINUTE, 30
    )
    let_pass("polls", bob.id, 30)
    response = bob.client.post("/get_messages", body, format="json", **way)
    assert says(response, "polls", 0, 30)
    assert [m["text"] for m in response.json()["chats"][0]["messages"]] == ["news"]


def test_a_poll_is_counted_once_whatever_answers_it(pair, settings):
    ada, bob = pair
    settings.LIMIT_POLLS_PER_MINUTE = 8
    cursor = bob.cursor
    for prepare in (
        lambda: None,
        lambda: ada.say(bob, "news"),
        lambda: cache.execute("DEL", f"i:{bob.id}"),
        lambda: cache.execute("FLUSHDB"),
    ):
        prepare()
        cache.execute("DEL", key_of("polls", bob.id))
        response = bob.post("/get_messages", cursor=cursor)
        assert says(response, "polls", 7, 8), prepare
    cache.execute("DEL", key_of("polls", bob.id))
    for body in ({}, {"cursor": ada.cursor}, {"cursor": "garbled"}):
        bob.post("/get_messages", **body)
    assert says(bob.post("/get_messages", cursor=cursor), "polls", 4, 8)


@pytest.mark.parametrize("way", [{}, BROWSER], ids=["short", "long"])
def test_pages(pair, settings, way):
    _, bob = pair
    settings.LIMIT_READS_PER_MINUTE = 2
    path = f"/chats/{bob.received[0][0]}/messages/"
    for left in (1, 0):
        response = bob.client.get(path, **way)
        assert response.status_code == 200
        assert says(response, "reads", left, 30)
    check_refused(bob.client.get(path, **way), "reads", 2, MINUTE, 30)
    check_refused(bob.client.get("/chats/", **way), "reads", 2, MINUTE, 30)


def test_a_page_is_counted_once_whatever_answers_it(pair, settings):
    _, bob = pair
    settings.LIMIT_READS_PER_MINUTE = 8
    path = f"/chats/{bob.received[0][0]}/messages/"
    for prepare in (lambda: None, lambda: cache.execute("FLUSHDB")):
        prepare()
        cache.execute("DEL", key_of("reads", bob.id))
        assert says(bob.client.get(path), "reads", 7, 8)


@pytest.mark.parametrize(
    ("setting", "path", "body"),
    [
        ("LIMIT_WRITES_PER_MINUTE", "/block_user", {"user_id": "bob"}),
        ("LIMIT_GROUPS_PER_HOUR", "/create_group", {"name": "x"}),
        ("LIMIT_ADDS_PER_HOUR", "/add_user_to_group", {"group_id": "group", "user_id": "bob"}),
        ("LIMIT_READS_PER_MINUTE", "/users/me/", None),
        ("LIMIT_READS_PER_MINUTE", "/archive/", None),
    ],
)
def test_other_routes(pair, settings, setting, path, body):
    ada, bob = pair
    names = {"bob": str(bob.id), "group": str(ada.group())}
    sent = {key: names.get(value, value) for key, value in (body or {}).items()}
    setattr(settings, setting, 1)

    def ask():
        if body is None:
            return ada.client.get(path)
        return ada.client.post(path, sent, format="json")

    assert ask().status_code < 300
    response = ask()
    assert response.status_code == 429
    assert any(about(seconds, response["Retry-After"]) for seconds in (60, 3600))
    setattr(settings, setting, 0)
    assert ask().status_code < 300
    assert "RateLimit" not in ask()


def test_a_session_in_a_browser_is_counted_with_the_users_tokens(pair, settings):
    ada, _ = pair
    settings.LIMIT_READS_PER_MINUTE = 2
    browser = Client()
    browser.force_login(ada.user)
    assert says(browser.get("/chats/"), "reads", 1, 30)
    assert says(ada.client.get("/chats/"), "reads", 0, 30)
    response = browser.get("/chats/", HTTP_ACCEPT="text/html")
    assert response.status_code == 429
    assert about(30, response["Retry-After"])
    assert b"Try again in " in response.content


def test_open_pages_are_counted_by_address_and_what_machines_watch_is_not(db, settings):
    settings.LIMIT_VISITS_PER_MINUTE = 2
    client = Client(REMOTE_ADDR="203.0.113.7")
    assert says(client.get("/schema/"), "visits", 1, 30)
    assert client.get("/", HTTP_ACCEPT="text/html").status_code == 200
    check_refused(client.get("/"), "visits", 2, MINUTE, 30)
    assert Client(REMOTE_ADDR="203.0.113.8").get("/").status_code == 200
    for _ in range(4):
        assert "RateLimit" not in client.get("/healthz")
        assert "RateLimit" not in client.get("/metrics")


def test_free_addresses_have_no_limits(pair, settings):
    ada, bob = pair
    settings.LIMIT_FREE_ADDRESSES = ("127.0.0.1", "10.0.0.0/8")
    settings.LIMIT_SENDS_PER_MINUTE = settings.LIMIT_POLLS_PER_MINUTE = 1
    for address in ("127.0.0.1", "10.1.2.3"):
        for _ in range(3):
            how = {"format": "json", "REMOTE_ADDR": address}
            sent = ada.client.post("/send_message", {"recipient_id": bob.id, "text": "x"}, **how)
            polled = bob.client.post("/get_messages", {"cursor": bob.cursor}, **how)
            assert (sent.status_code, polled.status_code) == (201, 200)
            assert "RateLimit" not in sent
            assert "RateLimit" not in polled
    # A header makes nobody free.
    how = {"format": "json", "REMOTE_ADDR": "203.0.113.7", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}
    for status in (201, 429):
        sent = ada.client.post("/send_message", {"recipient_id": bob.id, "text": "x"}, **how)
        assert sent.status_code == status


def test_no_limit_costs_a_statement_or_a_trip_more(pair):
    ada, bob = pair
    with counted() as cost:
        assert bob.poll()["chats"] == []
    assert cost() == (0, 1)
    with counted() as cost:
        ada.post("/send_message", recipient_id=bob.id, text="hi")
    assert cost() == (1, 2)
    path = f"/chats/{bob.received[0][0]}/messages/"
    bob.client.get(path)
    with counted() as cost:
        bob.client.get(path)
    assert cost() == (0, 1)
    with counted() as cost:
        bob.client.get("/users/me/")
    assert cost() == (1, 1)


@pytest.mark.parametrize("refused", ["sends", "polls"])
def test_a_refusal_asks_no_database(pair, settings, refused):
    ada, bob = pair
    settings.LIMIT_SENDS_PER_MINUTE = settings.LIMIT_POLLS_PER_MINUTE = 1
    for _ in range(2):
        ada.post("/send_message", recipient_id=bob.id, text="hi")
        bob.post("/get_messages", cursor=bob.cursor)
    with counted() as cost:
        if refused == "sends":
            response = ada.post("/send_message", recipient_id=bob.id, text="hi")
        else:
            response = bob.post("/get_messages", cursor=bob.cursor)
    assert response.status_code == 429
    assert cost() == (0, 1)


def test_a_full_cache_counts_sends_and_polls(pair, settings):
    ada, bob = pair
    settings.LIMIT_SENDS_PER_MINUTE = settings.LIMIT_POLLS_PER_MINUTE = 1
    cache.execute("DEL", key_of("polls", bob.id))
    with full_cache():
        assert ada.post("/send_message", recipient_id=bob.id, text="on").status_code == 201
        assert ada.post("/send_message", recipient_id=bob.id, text="on").status_code == 429
        assert bob.post("/get_messages", cursor=bob.cursor).status_code == 200
        assert bob.post("/get_messages", cursor=bob.cursor).status_code == 429


def test_without_a_cache_to_count_in_sends_and_polls_go_on(pair, settings):
    ada, bob = pair
    settings.LIMIT_SENDS_PER_MINUTE = settings.LIMIT_POLLS_PER_MINUTE = 1
    cache.execute("DEL", key_of("polls", bob.id))
    with paused_cache():
        for _ in range(4):
            sent = ada.post("/send_message", recipient_id=bob.id, text="on")
            assert sent.status_code == 201
            assert bob.post("/get_messages", cursor=bob.cursor).status_code == 200
        assert len(bob.drain()) == 4


@pytest.fixture
def grown_up(pair, settings):
    """Make everybody registered so far old enough; return a user who is not."""
    settings.LIMIT_NEW_USER_REACHES_PER_HOUR = 3
    return Person("fresh")


def send(person, to, text="hi"):
    return person.post("/send_message", recipient_id=to.id, text=text)


def test_a_new_user_opens_so_many_chats_in_an_hour(grown_up, pair, settings):
    fresh, others = grown_up, [Person() for _ in range(5)]
    for other in others[:3]:
        assert send(fresh, other).status_code == 201
    response = send(fresh, others[3])
    check_refused(response, "reaches", 3, 3600, 1200)
    assert not Chat.objects.filter(memberships__user=others[3].user).exists()
    # Writing on, and answering, goes on.
    assert send(fresh, others[0]).status_code == 201
    others[4].say(fresh, "hello")
    assert send(fresh, others[4]).status_code == 201
    let_pass("reaches", fresh.id, 1200)
    assert send(fresh, others[3]).status_code == 201
    # Older ones are not capped.
    settings.NEW_USER_HOURS = 0
    assert all(send(fresh, Person()).status_code == 201 for _ in range(4))


def test_groups_are_no_way_around_it(grown_up):
    fresh, others = grown_up, [Person() for _ in range(5)]
    ids = [str(other.id) for other in others]
    response = fresh.post("/create_group", name="all", member_ids=ids)
    assert response.status_code == 403
    assert response.json()["errors"][0]["code"] == "too_many_at_once"
    group = fresh.post("/create_group", name="two", member_ids=ids[:2])
    assert group.status_code == 201
    add = {"group_id": group.json()["group_id"]}
    assert fresh.post("/add_user_to_group", **add, user_id=ids[2]).status_code == 201
    assert fresh.post("/add_user_to_group", **add, user_id=ids[3]).status_code == 429
    assert fresh.post("/create_group", name="one", member_ids=ids[4:]).status_code == 429
    assert send(fresh, others[4]).status_code == 429


def test_a_send_of_a_new_user_to_a_chat_that_is_there_costs_what_it_costs(grown_up):
    fresh, other = grown_up, Person()
    send(fresh, other)
    with counted() as cost:
        assert send(fresh, other).status_code == 201
    assert cost() == (1, 2)


def test_a_new_user_still_hears_who_blocks_them_and_who_is_not_there(grown_up):
    fresh, other = grown_up, Person()
    accounts.block_user(blocker_id=other.id, blocked_id=fresh.id)
    assert send(fresh, other).status_code == 403
    body = {"recipient_id": "b9ee5a9e-32e5-4d43-9f92-f8ba3055e8f7", "text": "hi"}
    assert fresh.post("/send_message", **body).status_code == 404
    assert not cache.execute("EXISTS", key_of("reaches", fresh.id))
