"""What every user reads, and what the bucket holds, held against what was written down."""

from __future__ import annotations

import itertools
import random
import re
import sys
import time
from datetime import datetime
from functools import partial

from tests.contract.cache import flush
from tests.http import JSON, Follower, Person, at_once
from tests.past.book import HOUR, Chat, hour_of
from tests.past.stack import PastStack
from tests.past.town import Scale, Town

IN_CACHE, IN_DATABASE = 5, 10


class Checks:
    """A stack, its people, and what must hold whatever has happened."""

    def __init__(self, stack: PastStack, scale: Scale, seed: int = 4) -> None:
        self.stack = stack
        self.scale = scale
        self.chance = random.Random(seed)
        self.town = Town(stack.server, scale, seed)
        self.began = time.monotonic()
        self.before: datetime | None = None
        """Hours over by then have been purged."""

    def say(self, text: str) -> None:
        """Tell who watches how far it is."""
        count = sum(len(chat.log) for chat in self.town.chats)
        seconds = time.monotonic() - self.began
        sys.stderr.write(
            f"{seconds:6.0f} s, {self.stack.clock.now():%Y-%m-%d %H:%M}, {count} messages: {text}\n"
        )

    def start(self, chat: Chat, *, lost: bool = False) -> int:
        """Return the first seq of a chat that is not gone; `lost`: with the database, too."""
        return chat.start(self.before, 0 if lost else IN_DATABASE)

    def expected(self, chat: Chat, user_id: str, *, lost: bool = False) -> list[JSON]:
        """Return what a user reads of a chat."""
        start = self.start(chat, lost=lost)
        return [message for message in chat.visible(user_id) if message["seq"] >= start]

    def check_bucket(self) -> int:
        """Hold the hour objects, every one of them, against what was written down."""
        wanted: dict[str, list[JSON]] = {}
        running = self.stack.clock.now().replace(minute=0, second=0, microsecond=0)
        for chat, person in itertools.product(self.town.chats, self.town.people):
            for message in chat.visible(person.user_id):
                hour = hour_of(message)
                if hour < running and (self.before is None or hour + HOUR > self.before):
                    key = f"{person.user_id}/{hour:%Y/%j/%H}/{chat.chat_id}"
                    wanted.setdefault(key, []).append(message)
        keys = self.stack.hour_keys()
        assert set(keys) - set(wanted) == set(), "objects of what nobody wrote or could see"
        assert set(wanted) - set(keys) == set(), "objects that are not there"
        for each in at_once([partial(self.stack.get, key) for key in keys], threads=4):
            assert each.messages == wanted[each.key], each.key
            metadata = dict(each.metadata)
            assert re.fullmatch(r"[0-9a-f]{8}:[0-9a-f]{64}", metadata.pop("signature")), each.key
            assert int(metadata.pop("generation")) >= 1, each.key
            assert metadata == {
                "first-seq": str(wanted[each.key][0]["seq"]),
                "last-seq": str(wanted[each.key][-1]["seq"]),
                "count": str(len(wanted[each.key])),
                "sha256": each.sha256,
            }
            assert (each.content_type, each.content_encoding) == ("application/x-ndjson", "gzip")
        return len(keys)

    def check_readers(self, *, lost: bool = False) -> None:
        """Scroll through every chat as everybody: once each, in place, and nothing else."""
        flush(self.stack.live.environment()["REDIS_URL"])
        everybody = [*self.town.people, self.town.stranger]
        jobs = [
            partial(self._check_reader, chat, person, lost)
            for chat, person in itertools.product(self.town.chats, everybody)
        ]
        at_once(jobs, threads=4)

    def _check_reader(self, chat: Chat, person: Person, lost: bool) -> None:
        wanted = self.expected(chat, person.user_id, lost=lost)
        answer = person.messages(chat.chat_id, limit=1)
        if person.user_id not in chat.stretches:
            answer.refused(404)
            return
        limit = 1 + (len(chat.log) * 7 + len(wanted)) % 29
        assert person.history(chat.chat_id, limit) == wanted
        if wanted:
            middle = wanted[len(wanted) // 2]["seq"]
            later = person.messages(chat.chat_id, after=middle, limit=500).ok()["results"]
            assert later == [message for message in wanted if message["seq"] > middle]

    def check_starts(self, *, lost: bool = False) -> None:
        """Hold `start` and `end` of each chat against what there is."""
        for person in self.town.people:
            first = Follower(person, 500)
            body = first.once()
            for entry in body["chats"]:
                (chat,) = [each for each in self.town.chats if each.chat_id == entry["chat_id"]]
                wanted = self.expected(chat, person.user_id, lost=lost)
                assert entry["end"] == wanted[-1]["seq"]
                assert entry["start"] == wanted[0]["seq"]
                tail = wanted[-len(entry["messages"]) :] if entry["messages"] else []
                assert entry["messages"] == tail

    def check_followers(self, followers: dict[str, Follower]) -> None:
        """Hold all that clients were ever given against what they could see."""
        for user_id, follower in followers.items():
            for chat in self.town.chats:
                got = follower.got.get(chat.chat_id, [])
                assert len({each["seq"] for each in got}) == len(got), "twice"
                visible = chat.visible(user_id)
                gone = self.start(chat)
                missing = [m for m in visible if m not in got]
                assert [m for m in visible if m in got] == got, "altered, or out of order"
                assert all(message["seq"] < gone for message in missing), "never delivered"

    def check_sleepers(self) -> None:
        """Have the clients of month one come back, twice over, from the same cursors."""
        kept = {user_id: each.cursor for user_id, each in self.town.sleepers.items()}
        for limit in (7, 500):
            late = {
                user_id: Follower(each.person, limit, kept[user_id], _copy(each.got))
                for user_id, each in self.town.sleepers.items()
            }
            flush(self.stack.live.environment()["REDIS_URL"])
            self.town.poll(late)
            self.check_followers(late)


def _copy(got: dict[str, list[JSON]]) -> dict[str, list[JSON]]:
    return {chat_id: list(messages) for chat_id, messages in got.items()}
