"""Months of a service's life: talked in, backed up, trimmed, purged, damaged, lost and restored."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime, timedelta

from tests.http import JSON, Follower, Person
from tests.past.spoiling import Spoiling


def last_year_end() -> datetime:
    """Return the last moment that a year began."""
    return datetime(datetime.now(UTC).year, 1, 1, tzinfo=UTC)


def retention_days() -> int:
    """Return for how many days messages are kept, so that month one is past it and no more."""
    return (datetime.now(UTC) - last_year_end()).days + 25


class Months(Spoiling):
    """The scenario, act by act."""

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

    # Loss ----------------------------------------------------------------------------------------

    def lose_and_restore(self) -> None:
        """Drop the database, restore from the bucket, and find everything."""
        self.stack.do("backup", "--now")
        facts = {person.user_id: self._facts(person) for person in self.town.people}
        objects = {each.key: each.raw for each in map(self.stack.get, self.stack.hour_keys())}
        self.stack.live.stop()
        shutil.rmtree(self.stack.live.data_dir / "postgres")
        self.stack.live.start()
        for name in ("beat", "worker"):
            # A trim that was due meanwhile would change what a second restore finds.
            self.stack.live.pause(name)
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
        had = {chat.chat_id: len(chat.log) for chat in self.town.chats}
        self.town.talk()
        for followers in (self.town.sleepers, self.town.faithful):
            self.town.poll(followers)
            for user_id, follower in followers.items():
                for chat in self.town.chats:
                    new = [m for m in chat.visible(user_id) if m["seq"] > had[chat.chat_id]]
                    assert follower.got.get(chat.chat_id, []) == new
        self.check_readers(lost=True)
