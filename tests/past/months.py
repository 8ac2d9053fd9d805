"""Months of a service's life: talked in, backed up, trimmed, purged, damaged, lost and restored.

What the senders wrote down is held against what every user reads, by every way to read, and
against the bucket as any S3 client reads it.
"""

from __future__ import annotations

import gzip
import itertools
import random
import shutil
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial

from tests.contract.cache import flush
from tests.http import JSON, Follower, Person, at_once
from tests.past.book import HOUR, Chat, hour_of
from tests.past.stack import Object, PastStack
from tests.past.town import Scale, Town

IN_CACHE, IN_DATABASE = 5, 10


def last_year_end() -> datetime:
    """Return the last moment that a year began."""
    return datetime(datetime.now(UTC).year, 1, 1, tzinfo=UTC)


def retention_days() -> int:
    """Return for how many days messages are kept, so that month one is past it and no more."""
    return (datetime.now(UTC) - last_year_end()).days + 25


class Months:
    """The scenario, act by act."""

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

    # Living --------------------------------------------------------------------------------------

    def month_one(self) -> None:
        """Talk in month one; half the clients keep their cursors of then."""
        clock, town = self.stack.clock, self.town
        for n in range(self.scale.months):
            town.talk(0.6)
            town.poll(town.faithful)
            if n == self.scale.months // 2:
                town.poll(town.sleepers)
            if n % 7 == 6:
                self.stack.do("backup")
                self.stack.do("trim")
            if n % 5 == 4:
                clock.move(clock.now() + timedelta(hours=self.chance.randint(20, 50)))
            else:
                clock.next_hour()
        self.stack.do("backup")
        self.stack.do("trim")
        self.say("month one is over")

    def year_end(self) -> None:
        """Talk from the old year into the new one, in the very seconds too."""
        clock, town, end = self.stack.clock, self.town, last_year_end()
        clock.move(end - timedelta(minutes=70))
        town.talk()
        clock.move(end - timedelta(seconds=3))
        while clock.now() < end + timedelta(seconds=0.5):
            town.talk(0.3, come_and_go=False)
        town.poll(town.faithful)
        self.stack.do("backup", "--now")
        clock.move(end + timedelta(minutes=20))
        town.talk(0.7)
        clock.next_hour()
        town.talk(0.5)
        self.stack.do("backup")
        self.say("it is a new year")

    def until_today(self) -> None:
        """Talk now and then until today, with hours left out and caught up."""
        clock, town = self.stack.clock, self.town
        for n in range(self.scale.weeks):
            left = datetime.now(UTC) - clock.now() - timedelta(hours=4)
            clock.move(clock.now() + left * self.chance.random() / (self.scale.weeks - n))
            town.talk(0.5)
            if n % 3 == 0:
                town.poll(town.faithful)
            if n % 6 == 5:
                self.stack.do("backup")
            if n % 12 == 11:
                self.stack.do("trim")
        clock.move(datetime.now(UTC) - timedelta(hours=2))
        town.talk(0.9)
        clock.catch_up()
        # From here on each run is one of ours.
        self.stack.live.pause("beat")
        town.talk(0.9)
        town.poll(town.faithful)
        self.say("it is today")

    def archive_and_forget(self) -> None:
        """Bring all into cold storage, trim, and purge what is past retention."""
        for command in ("backup", "trim", "purge", "trim", "verify"):
            report = self.stack.do(command)
            self.say(f"{command}: {report}")
        now = self.stack.clock.now()
        self.before = now - timedelta(days=retention_days())

    # What must hold ------------------------------------------------------------------------------

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
            assert each.metadata == {
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
        if answer.status == 404:
            # All that they could see is gone for good, and the chat has forgotten them.
            assert lost
            assert not wanted
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

    # Damage --------------------------------------------------------------------------------------

    def damage(self) -> None:
        """Spoil objects in every way; readers get right lines or none, verify tells, then mends."""
        before = {each.key: each for each in map(self.stack.get, self.stack.hour_keys())}
        spoilt = self._spoil(before)
        flush(self.stack.live.environment()["REDIS_URL"])
        refused = self._read_damaged(spoilt)
        ended = self.stack.manage("verify", "--json")
        assert ended.status == 1, ended
        named = {key for key in before if key in ended.err}
        assert named == set(spoilt), (named ^ set(spoilt), spoilt)
        self.say(f"{len(spoilt)} objects spoilt and named, {refused} chats refused meanwhile")
        self.stack.do("verify", "--repair")
        after = {each.key: each for each in map(self.stack.get, self.stack.hour_keys())}
        assert after == before
        self.stack.do("verify")
        self.check_readers()

    def _spoil(self, objects: dict[str, Object]) -> dict[str, str]:
        """Spoil some objects, each of an hour and chat of its own, so that another copy is left."""
        by_hour: dict[str, list[str]] = {}
        for key in objects:
            by_hour.setdefault(key.partition("/")[2], []).append(key)
        copies = [keys for keys in by_hour.values() if len(keys) > 1]
        self.chance.shuffle(copies)
        spoilt: dict[str, str] = {}
        for keys in copies:
            # The one with the least: all of it is in the others' copies.
            keys.sort(key=lambda key: len(objects[key].messages))
            key, *others = keys
            held = {message["seq"] for message in objects[key].messages}
            whole = [
                other
                for other in others
                if held <= {message["seq"] for message in objects[other].messages}
            ]
            if whole and len(spoilt) < self.scale.damages:
                self._spoil_one(objects[key], [objects[other] for other in whole], spoilt)
        return spoilt

    def _spoil_one(self, held: Object, others: list[Object], spoilt: dict[str, str]) -> None:
        put, key, raw, way = self.stack.put, held.key, held.raw, len(spoilt) % 8
        if way == 0:
            how = "deleted"
            self.stack.delete(key)
        elif way == 1:
            how, place = "a bit flipped", len(raw) // 2
            put(key, raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :], held)
        elif way == 2:
            how = "cut off"
            put(key, raw[: len(raw) // 2], held)
        elif way == 3:
            how = "a message left out"
            lines = held.plain.split(b"\n")[:-2]
            put(key, gzip.compress(b"".join(line + b"\n" for line in lines)), held)
        elif way == 4:
            how = "other metadata"
            wrong = {**held.metadata, "count": "1000000"}
            put(key, raw, Object(key, raw, wrong, held.content_type, held.content_encoding))
        elif way == 5:
            how, other = "another's", next((o for o in others if o.plain != held.plain), None)
            put(key, other.raw if other else b"", other or held)
        elif way == 6:
            how = "with something behind it"
            put(key, raw + gzip.compress(b"{}\n"), held)
        else:
            how = "emptied"
            put(key, b"", held)
            # Two swapped, where a third has all of both.
            one, *more = others
            if (
                len(more) > 1
                and one.plain != held.plain
                and one.metadata["count"] == more[-1].metadata["count"]
            ):
                how = spoilt[one.key] = "swapped"
                put(key, one.raw, one)
                put(one.key, raw, held)
        spoilt[key] = how

    def _read_damaged(self, spoilt: dict[str, str]) -> int:
        """Scroll where something is spoilt; return how often that was refused."""
        people = {person.user_id: person for person in self.town.people}
        chats = {chat.chat_id: chat for chat in self.town.chats}
        refused = 0
        for key in spoilt:
            user_id, _, _, _, chat_id = key.split("/")
            wanted = self.expected(chats[chat_id], user_id)
            url: str | None = f"/chats/{chat_id}/messages/?limit=9"
            got: list[JSON] = []
            while url is not None:
                page = people[user_id].get(url)
                if page.status == 503:
                    page.refused(503, "archive_unavailable")
                    refused += 1
                    break
                got = page.ok()["results"] + got
                url = page.body["next"]
            assert got == wanted[len(wanted) - len(got) :], "wrong lines"
            assert url is not None or got == wanted, "a history that ends early"
        return refused

    # Loss ----------------------------------------------------------------------------------------

    def lose_and_restore(self) -> None:
        """Drop the database, restore from the bucket, and find everything."""
        self.stack.do("backup", "--now")
        facts = {person.user_id: self._facts(person) for person in self.town.people}
        objects = {each.key: each.raw for each in map(self.stack.get, self.stack.hour_keys())}
        self.stack.live.stop()
        shutil.rmtree(self.stack.live.data_dir / "postgres")
        self.stack.live.start()
        self.stack.live.pause("beat")
        self.town.people[0].poll().refused(401)
        began = time.monotonic()
        report = self.stack.do("restore", "--all")
        self.say(f"restored in {time.monotonic() - began:.1f} s: {report}")
        assert report["messages"] == sum(
            len(chat.log) - self.start(chat, lost=True) + 1 for chat in self.town.chats
        )
        for person in (*self.town.people, self.town.stranger):
            person.token = self.stack.server.post(
                "/login", username=person.username, password=person.password
            ).ok()["token"]
        for person in self.town.people:
            assert self._facts(person) == facts[person.user_id]
        self.check_readers(lost=True)
        self.check_starts(lost=True)
        again = self.stack.do("restore", "--all")
        assert again["messages"] == 0
        self.check_readers(lost=True)
        self.stack.do("verify")
        self.stack.do("backup")
        after = {each.key: each.raw for each in map(self.stack.get, self.stack.hour_keys())}
        assert after == objects

    def _facts(self, person: Person) -> JSON:
        """Return what a user sees of themself, groups, members and blocks."""
        groups = sorted(person.walk("/groups/"), key=lambda group: str(group["group_id"]))
        return {
            "me": person.get("/users/me/").ok(),
            "groups": groups,
            "members": {
                group["group_id"]: sorted(
                    person.walk(f"/groups/{group['group_id']}/members/"),
                    key=lambda member: str(member["user_id"]),
                )
                for group in groups
            },
            "blocks": sorted(person.walk("/blocks/"), key=str),
        }

    def go_on(self) -> None:
        """Poll with cursors from before the restore, and talk on."""
        for followers in (self.town.sleepers, self.town.faithful):
            for user_id, follower in followers.items():
                late = Follower(follower.person, 500, follower.cursor)
                body = late.once()
                assert body["reset"] is True
                for entry in body["chats"]:
                    (chat,) = [c for c in self.town.chats if c.chat_id == entry["chat_id"]]
                    wanted = self.expected(chat, user_id, lost=True)
                    assert entry["messages"] == wanted[len(wanted) - len(entry["messages"]) :]
                assert late.once()["reset"] is False
                followers[user_id] = Follower(follower.person, 37, late.cursor)
        clean = [chat for chat in self.town.chats if self.start(chat, lost=True) <= len(chat.log)]
        had = {chat.chat_id: len(chat.log) for chat in clean}
        self.town.chats = clean
        self.town.talk()
        for followers in (self.town.sleepers, self.town.faithful):
            self.town.poll(followers)
            for user_id, follower in followers.items():
                for chat in clean:
                    new = [m for m in chat.visible(user_id) if m["seq"] > had[chat.chat_id]]
                    assert follower.got.get(chat.chat_id, []) == new
        self.check_readers(lost=True)


def _copy(got: dict[str, list[JSON]]) -> dict[str, list[JSON]]:
    return {chat_id: list(messages) for chat_id, messages in got.items()}
