"""Any Unicode but U+0000 and lone surrogates, 1 to 4,096 code points, through every way out."""

import unicodedata

import pytest

from tests.contract.cache import flush
from tests.http import Follower, Person, Server

# One or more of every plane that has characters, private use and noncharacters included.
PLANES = {
    f"plane {plane}": "".join(
        chr(plane * 0x10000 + offset)
        for offset in (
            0x0001,
            0x0041,
            0x0300,
            0x1000,
            0x4E00,
            0xA000,
            0xE000,
            0xF8FF,
            0xFFFD,
            0xFFFE,
            0xFFFF,
        )
    )
    for plane in range(17)
}
TEXTS = {
    **PLANES,
    "every control": "".join(chr(code) for code in (*range(1, 32), *range(127, 160))),
    "one character": "x",
    "a quote": '"',
    "a backslash": "\\",
    "an escape in words": "\\u0000 \\ud800 \\n",
    "html": "<b>&amp;</b><script>alert(1)</script>",
    "NFC": unicodedata.normalize("NFC", "é ñ ü 각 Å"),
    "NFD": unicodedata.normalize("NFD", "é ñ ü 각 Å"),
    "compatibility forms": "ﬁ Ⅷ ㎏ ｱ ² \u212b",
    "a space": " ",
    "white space only": " \t\n\r\x0b\x0c\x85\xa0\u1680\u2000\u2028\u2029\u202f\u205f\u3000",
    "white space around": "\n  both ends \t\r\n",
    "newlines": "a\nb\r\nc\rd\u2028e\u2029f",
    "right to left": "שלום عليكم \u202eevil\u202c \u2067x\u2069 \u200f\u061c",
    "zero width": "a\u200bb\u200cc\u200dd\u2060e\ufefff",
    "a byte order mark first": "\ufeffx",
    "only a zero width space": "\u200b",
    "families": "👨‍👩‍👧‍👦 🏴󠁧󠁢󠁥󠁮󠁧󠁿 👍🏿 🇩🇪 ❤️ ❤",
    "many marks": "Z" + "\u0351\u036f\u0321\u0348" * 50,
    "variation selectors": "\ufe0e\ufe0f\U000e0100",
    "noncharacters": "\ufdd0\ufdef\ufffe\uffff\U0010fffe\U0010ffff",
    "4,096 astral characters": "\U0001f98a" * 4096,
    "4,096 of one byte": "x" * 4096,
    "4,096 that JSON escapes": '"\\\x01\n' * 1024,
    "4,096 newlines": "\n" * 4096,
    "a line that is JSON": '{"text": "x", "seq": 1}',
    "percent and braces": "%s %(a)s {0} {a} $1 ' -- ; DROP TABLE",
    "digits": "0123",
    "null": "null",
}


class Room:
    """A private chat and a group of the same two, and what the reader follows."""

    def __init__(self, server: Server) -> None:
        self.writer, self.reader = server.people("writer", "reader")
        self.group = self.writer.group(self.reader)
        self.chat = self.writer.send(self.reader, "first").ok(201)["chat_id"]
        self.follower: Follower = self.reader.follow()
        self.follower.until_quiet()


@pytest.fixture(scope="module")
def room(server: Server) -> Room:
    return Room(server)


@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_comes_back_as_it_was_sent(room: Room, kind: str) -> None:
    text = TEXTS[kind]
    in_chat = room.writer.send(room.reader, text).ok(201)
    in_group = room.writer.send_group(room.group, text).ok(201)
    assert in_chat["text"] == in_group["text"] == text
    room.follower.until_quiet()
    for sent in (in_chat, in_group):
        chat = sent["chat_id"]
        seen = {**sent, "client_id": None}
        assert room.follower.got[chat][-1] == seen
        assert room.reader.messages(chat, limit=1).ok()["results"] == [seen]
        assert room.reader.poll(limit=500).ok()["chats"]


def test_texts_come_back_from_the_database_too(server: Server, redis_url: str) -> None:
    room = Room(server)
    cursor = room.follower.cursor
    for text in TEXTS.values():
        room.writer.send(room.reader, text).ok(201)
    flush(redis_url)
    behind = Follower(room.reader, 500, cursor)
    behind.until_quiet()
    assert behind.texts(room.chat) == list(TEXTS.values())
    flush(redis_url)
    texts = [message["text"] for message in room.reader.history(room.chat, limit=10)]
    assert texts == ["first", *TEXTS.values()]
    flush(redis_url)
    [chat] = [c for c in room.reader.poll(limit=500).ok()["chats"] if c["chat_id"] == room.chat]
    assert [m["text"] for m in chat["messages"]] == ["first", *TEXTS.values()][-50:]
    # And from the cache that these reads have filled.
    texts = [message["text"] for message in room.reader.history(room.chat, limit=10)]
    assert texts == ["first", *TEXTS.values()]


@pytest.mark.parametrize("text", ["x" * 4097, "\U0001f98a" * 4097, " " * 4097, "e\u0301" * 2049])
def test_a_longer_text_is_a_400(room: Room, text: str) -> None:
    room.writer.send(room.reader, text).refused(400, attr="text")
    room.writer.send_group(room.group, text).refused(400, attr="text")


def test_a_text_may_be_sent_in_escapes_or_as_it_is(room: Room) -> None:
    text = "ü🦊\n"
    for body in (
        b'{"recipient_id": "%s", "text": "\\u00fc\\ud83e\\udd8a\\n"}',
        '{"recipient_id": "%s", "text": "ü🦊\\n"}'.encode(),
    ):
        answer = room.writer.server.call(
            "POST",
            "/send_message",
            token=room.writer.token,
            content=body % room.reader.user_id.encode(),
        )
        assert answer.ok(201)["text"] == text


def test_group_names_and_display_names_come_back_too(server: Server, ann: Person) -> None:
    for name in ("名前 \u200f x", "e\u0301", "🦊" * 10):
        assert ann.group(name=name)["name"] == name
