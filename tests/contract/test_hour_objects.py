"""The bucket as a plain S3 client sees it: keys, headers, metadata, lines, and who has which."""

import hashlib
import itertools
import json
import re
from datetime import UTC, datetime

import pytest

from tests.http import JSON, Person, check_message
from tests.past.stack import Object, PastStack

TEXTS = (
    "hello",
    "  \t white\nspace\r\n ",
    "line\u2028and\u2029paragraph\u0085next\x0b\x0c\x1c\x1d\x1e\x7f",
    "e\u0301 \u00e9 \u200f\u2067x\u2069 \ufeff",
    "\ud7ff\ue000\uffff\U00010000\U0001f98a\U00020000\U000e0001\U000fffff\U0010ffff",
    '"\\/\b\f\n\r\t\\u0041 </script>',
    "\x01\x02\x1f",
)


def hour_of(message: JSON) -> datetime:
    """Return the hour in which a message was sent."""
    at = datetime.fromisoformat(message["sent_at"])
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def key(person: Person, hour: datetime, chat: str) -> str:
    """Return the key of the contract."""
    return f"{person.user_id}/{hour:%Y/%j/%H}/{chat}"


def expected(people: list[Person], chat: str) -> dict[str, list[JSON]]:
    """Return what the bucket is to hold of a chat: what the API shows each, by key."""
    found: dict[str, list[JSON]] = {}
    for person in people:
        if person.messages(chat).status == 404:
            continue
        for message in person.history(chat):
            found.setdefault(key(person, hour_of(message), chat), []).append(message)
    return found


def of_chat(past: PastStack, chat: str) -> dict[str, Object]:
    """Return the chat's hour objects by key."""
    return {key: past.get(key) for key in past.hour_keys() if key.endswith(f"/{chat}")}


@pytest.fixture(scope="module")
def people(past: PastStack) -> list[Person]:
    return past.server.people("ann", "ben", "cid", "eve")


@pytest.fixture(scope="module")
def private(past: PastStack, people: list[Person]) -> str:
    """A private chat of two hours, with every kind of text, backed up."""
    ann, ben, *_ = people
    for n, text in enumerate(TEXTS * 2):
        sender, recipient = (ann, ben) if n % 2 else (ben, ann)
        message = sender.send(recipient, text, f"id-{n}" if n % 3 else None).ok(201)
        if n == len(TEXTS):
            past.clock.next_hour()
    past.clock.next_hour()
    past.do("backup")
    chat: str = message["chat_id"]
    return chat


@pytest.fixture(scope="module")
def group(past: PastStack, people: list[Person]) -> str:
    """A group of three hours in which Cid joined, left in the middle of one, and came back in it."""
    ann, ben, cid, _ = people
    chat: str = ann.group(ben)["group_id"]

    def talk(count: int) -> None:
        for n in range(count):
            (ann, ben)[n % 2].send_group(chat, f"text {n}", f"{n}-{past.clock.now()}").ok(201)

    talk(3)
    ann.add(chat, cid).ok(201)
    talk(2)
    cid.send_group(chat, "mine", "cids").ok(201)
    past.clock.next_hour()
    talk(2)
    ann.remove(chat, cid).ok(200)
    talk(2)
    ann.add(chat, cid).ok(201)
    talk(1)
    cid.remove(chat, cid).ok(200)
    past.clock.next_hour()
    talk(2)
    past.clock.next_hour()
    past.do("backup")
    return chat


def test_the_keys_are_those_of_the_contract(
    past: PastStack, people: list[Person], private: str, group: str
) -> None:
    for chat in (private, group):
        assert set(of_chat(past, chat)) == set(expected(people[:3], chat))
    assert not past.keys(f"{people[3].user_id}/")


def test_each_holds_what_the_api_shows_that_user_in_order(
    past: PastStack, people: list[Person], private: str, group: str
) -> None:
    for chat in (private, group):
        found = {key: each.messages for key, each in of_chat(past, chat).items()}
        assert found == expected(people[:3], chat)
        for messages in found.values():
            for message in messages:
                check_message(message, chat)


def test_a_line_is_byte_for_byte_the_apis_message(
    past: PastStack, people: list[Person], private: str, group: str
) -> None:
    for person, chat in itertools.product(people[:2], (private, group)):
        page = person.messages(chat, limit=100).content
        for each in of_chat(past, chat).values():
            if each.key.startswith(person.user_id):
                for line in each.lines:
                    assert line in page
                    assert list(json.loads(line)) == list(json.loads(page)["results"][0]), (
                        "another order of keys"
                    )


def test_headers_and_metadata_say_what_is_in_it(past: PastStack, private: str, group: str) -> None:
    for each in (*of_chat(past, private).values(), *of_chat(past, group).values()):
        assert each.content_type == "application/x-ndjson"
        assert each.content_encoding == "gzip"
        messages = each.messages
        metadata = dict(each.metadata)
        assert re.fullmatch(r"[0-9a-f]+:[0-9a-f]{64}", metadata.pop("signature"))
        assert metadata == {
            "generation": "1",
            "first-seq": str(messages[0]["seq"]),
            "last-seq": str(messages[-1]["seq"]),
            "count": str(len(messages)),
            "sha256": hashlib.sha256(each.plain).hexdigest(),
        }


def test_the_gzip_header_holds_no_time_and_no_name(past: PastStack, private: str) -> None:
    for each in of_chat(past, private).values():
        assert each.raw[:3] == b"\x1f\x8b\x08"
        assert each.raw[3] == 0, "flags"
        assert each.raw[4:8] == bytes(4), "a time"


def test_texts_come_back_as_they_were_sent(
    past: PastStack, people: list[Person], private: str
) -> None:
    for person in people[:2]:
        texts = [
            message["text"]
            for key, each in sorted(of_chat(past, private).items())
            if key.startswith(person.user_id)
            for message in each.messages
        ]
        assert texts == [*TEXTS, *TEXTS]


def test_a_client_id_is_in_its_senders_copy_alone(
    past: PastStack, people: list[Person], private: str, group: str
) -> None:
    for chat in (private, group):
        for person in people[:3]:
            for each in of_chat(past, chat).values():
                if not each.key.startswith(person.user_id):
                    continue
                own = [m for m in each.messages if m["sender_id"] == person.user_id]
                others = [m for m in each.messages if m["sender_id"] != person.user_id]
                assert all(message["client_id"] is None for message in others)
                texts = [message for message in own if message["kind"] == "text"]
                assert chat == private or all(message["client_id"] for message in texts)


def test_who_left_and_came_back_has_both_stretches_and_nothing_between(
    past: PastStack, people: list[Person], group: str
) -> None:
    ann, _, cid, _ = people
    whole = [
        m for k, o in sorted(of_chat(past, group).items()) if ann.user_id in k for m in o.messages
    ]
    held = [
        m for k, o in sorted(of_chat(past, group).items()) if cid.user_id in k for m in o.messages
    ]
    systems = [m["seq"] for m in whole if m["kind"] == "system"]
    joined, removed, back, left = systems[-4:]
    wanted = [*range(joined, removed + 1), *range(back, left + 1)]
    assert [message["seq"] for message in held] == wanted
    assert not past.keys(key(cid, hour_of(whole[-1]), group))


def test_running_it_again_gives_the_same_bytes(past: PastStack, private: str, group: str) -> None:
    before = {key: past.get(key) for key in past.hour_keys()}
    hour = min(key.split("/", 1)[1][:11] for key in before)
    past.do("backup")
    named = datetime.strptime(hour, "%Y/%j/%H").replace(tzinfo=UTC)
    past.do("backup", "--hour", f"{named:%Y-%m-%dT%H}")
    assert {key: past.get(key) for key in past.hour_keys()} == before


def test_the_bytes_depend_on_the_messages_alone(past: PastStack, private: str, group: str) -> None:
    before = {key: past.get(key).raw for key in past.hour_keys() if key.endswith(f"/{group}")}
    for gone in list(before)[::2]:
        past.delete(gone)
    past.do("verify", "--repair")
    after = {key: past.get(key).raw for key in past.hour_keys() if key.endswith(f"/{group}")}
    assert after == before


def test_two_at_once_both_end_well_and_give_one_result(
    past: PastStack, people: list[Person]
) -> None:
    ann, ben, *_ = people
    chat = ann.group(ben)["group_id"]
    for n in range(20):
        ben.send_group(chat, f"{n}").ok(201)
    past.clock.next_hour()
    for process in [past.start("backup", "--json") for _ in range(3)]:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, (out, err)
    found = {key: each.messages for key, each in of_chat(past, chat).items()}
    assert found == expected([ann, ben], chat)


def test_now_takes_the_running_hour_and_the_rest_of_it_follows(
    past: PastStack, people: list[Person]
) -> None:
    ann, ben, *_ = people
    chat = ann.send(ben, "before").ok(201)["chat_id"]
    past.do("backup")
    newest = ann.history(chat)[-1]
    assert key(ann, hour_of(newest), chat) not in past.hour_keys()
    past.do("backup", "--now")
    assert past.get(key(ann, hour_of(newest), chat)).messages[-1] == newest
    ben.send(ann, "after").ok(201)
    past.clock.next_hour()
    past.do("backup")
    found = {key: each.messages for key, each in of_chat(past, chat).items()}
    assert found == expected([ann, ben], chat)


def test_a_named_hour_is_as_far_as_it_goes(past: PastStack, people: list[Person]) -> None:
    ann, ben, *_ = people
    past.clock.next_hour()
    first = ann.send(ben, "one").ok(201)
    past.clock.next_hour()
    second = ann.send(ben, "two").ok(201)
    past.clock.next_hour()
    past.do("backup", "--hour", f"{hour_of(first):%Y-%m-%dT%H}")
    assert key(ann, hour_of(first), first["chat_id"]) in past.hour_keys()
    assert key(ann, hour_of(second), first["chat_id"]) not in past.hour_keys()
    past.do("backup")
    assert key(ann, hour_of(second), first["chat_id"]) in past.hour_keys()


def test_missed_hours_are_caught_up(past: PastStack, people: list[Person]) -> None:
    ann, ben, *_ = people
    for n in range(4):
        chat = ann.send(ben, f"hour {n}").ok(201)["chat_id"]
        past.clock.next_hour()
    past.do("backup")
    found = {key: each.messages for key, each in of_chat(past, chat).items()}
    assert found == expected([ann, ben], chat)


def test_each_run_writes_what_is_no_message_and_no_secret_but_password_hashes(
    past: PastStack, people: list[Person]
) -> None:
    ann, ben, *_ = people
    dan = past.server.person("dan", "correct horse battery 9")
    dan.block(ben).ok(201)
    ann.send(ben, "x").ok(201)
    past.clock.next_hour()
    past.do("backup")
    newest = max(key for key in past.keys("_system/") if key.endswith("/manifest"))
    at = past.clock.now()
    folder = newest.rpartition("/")[0]
    assert folder.startswith("_system/")
    assert datetime.strptime(folder, "_system/%Y/%j/%H").replace(tzinfo=UTC) < at
    held = b""
    for name in past.keys(folder + "/"):
        each = past.get(name)
        held += each.plain if each.content_encoding == "gzip" else each.raw
    for person in (*people, dan):
        assert person.user_id.encode() in held
        assert person.token.encode() not in held
    assert dan.password is not None
    assert dan.password.encode() not in held
    assert b"argon2" in held or b"pbkdf2" in held
