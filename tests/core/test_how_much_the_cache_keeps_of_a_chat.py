"""The cache keeps a chat's last messages up to a number and up to so many bytes, and no seam shows."""

import pytest
from django.conf import settings

from common.cache import cache
from messaging import telling
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)

CONTROL = "\x01" * 4096
ROOM = 65_536


@pytest.fixture
def people(sweeper):
    return Person("ada"), Person("bob")


def lists() -> list[bytes]:
    found: list[bytes] = cache.execute("KEYS", "m:*")
    return found


def kept() -> list[bytes]:
    (key,) = lists()
    lines: list[bytes] = cache.execute("LRANGE", key, 0, -1)
    number = key.removeprefix(b"m:")
    noted = cache.execute("HGET", b"c:" + number, "bytes")
    assert int(noted) == sum(map(len, lines)), "the chat's hash says how many bytes they are"
    return lines


def texts(person: Person, chat_id: str, query: str = "") -> tuple[list[str], str]:
    response = person.client.get(f"/chats/{chat_id}/messages/{query}")
    assert response.status_code == 200, response.content
    return [m["text"] for m in response.json()["results"]], response["X-Served-From"]


def test_a_text_of_control_characters_takes_less_room_than_its_characters(people):
    ada, bob = people
    ada.say(bob, CONTROL)
    assert sum(map(len, kept())) < len(CONTROL) / 4
    assert bob.drain() == [CONTROL]


def test_a_plain_text_is_kept_as_the_json_that_is_sent(people):
    ada, bob = people
    sent = ada.say(bob, "w" * 4096)
    assert kept()[0].endswith(sent.line.body)


def test_a_chat_ends_at_so_many_bytes(people):
    ada, bob = people
    said = [f"{number:02} " + "w" * 4000 for number in range(30)]
    for text in said:
        ada.say(bob, text)
    lines = kept()
    assert ROOM - 5000 < sum(map(len, lines)) <= ROOM
    assert len(lines) < 20
    bob.drain()
    chat_id = bob.received[0][0]
    held = len(lines)
    assert texts(bob, chat_id, f"?limit={held}") == (said[-held:], "cache")
    assert texts(bob, chat_id, "?limit=30") == (said, "database")
    assert texts(bob, chat_id, f"?limit=5&before={31 - held}") == (
        said[25 - held : 30 - held],
        "database",
    )


def test_a_poll_for_more_than_the_cache_holds_is_answered_by_the_database(people):
    ada, bob = people
    ada.say(bob, "first")
    bob.drain()
    bob.poll()
    said = [f"{number:02} " + "w" * 4000 for number in range(20)]
    for text in said[:15]:
        ada.say(bob, text)
    answer = bob.poll()
    assert answer["served_from"] == "cache"
    for text in said[15:]:
        ada.say(bob, text)
    assert bob.poll()["served_from"] == "cache"
    for text in said:
        ada.say(bob, text)
    answer = bob.poll()
    assert answer["served_from"] == "database"
    assert [text for _, _, text in bob.received[-20:]] == said


def test_what_a_reader_fills_in_ends_at_so_many_bytes_too(people):
    ada, bob = people
    said = [f"{number:02} " + "w" * 4000 for number in range(30)]
    for text in said:
        ada.say(bob, text)
    bob.drain()
    before = kept()
    cache.execute("DEL", *lists())
    chat_id = bob.received[0][0]
    assert texts(bob, chat_id, "?limit=50") == (said, "database")
    assert kept() == before
    ada.say(bob, "one more")
    assert kept()[-1].endswith(b'"client_id":null}')
    assert texts(bob, chat_id, "?limit=3") == ([*said[-2:], "one more"], "cache")


def test_a_message_that_is_larger_than_the_room_is_kept_alone(people, settings):
    settings.HOT_BYTES_PER_CHAT = 1000
    ada, bob = people
    ada.say(bob, "short")
    ada.say(bob, "w" * 4000)
    assert len(kept()) == 1
    assert bob.drain() == ["short", "w" * 4000]
    ada.say(bob, "short again")
    assert len(kept()) == 1
    chat_id = bob.received[0][0]
    cache.execute("DEL", *lists())
    ada.say(bob, "w" * 4000)
    assert texts(bob, chat_id, "?limit=1") == (["w" * 4000], "cache")


def test_small_messages_end_at_their_number(people):
    ada, bob = people
    for number in range(settings.HOT_MESSAGES_PER_CHAT + 5):
        ada.say(bob, f"{number}")
    assert len(kept()) == settings.HOT_MESSAGES_PER_CHAT


def test_messages_that_overtook_one_another_are_counted(people, settings, monkeypatch):
    settings.HOT_BYTES_PER_CHAT = 9000
    ada, bob = people
    ada.say(bob, "opens")
    late: list[telling.Told] = []
    with monkeypatch.context() as patch:
        patch.setattr(telling, "tell_or_raise", late.append)
        for number in range(4):
            ada.say(bob, f"{number}" * 3000)
    for told in (late[2], late[3], late[1], late[0]):
        telling.tell_or_raise(told)
    assert len(kept()) == 2
    assert bob.drain() == ["opens", *(f"{number}" * 3000 for number in range(4))]
