"""The people of the scenario: they talk, join, leave and come back, and write down what they sent."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.http import JSON, Follower, Server, at_once
from tests.past.book import Chat, Texts


@dataclass(frozen=True)
class Scale:
    """How large the scenario is."""

    people: int
    privates: int
    groups: int
    group_size: int
    messages: int
    """In each hour, in each chat that is talked in."""
    months: int
    """Hours in which there is talk, over the time before the year's end."""
    weeks: int
    """Hours in which there is talk, over the time after it."""
    damages: int


SHORT = Scale(8, 3, 3, 4, 9, 2, 2, 8)
LONG = Scale(24, 14, 10, 8, 10, 20, 24, 40)


class Town:
    """Everybody, every chat, and what was written in it."""

    def __init__(self, server: Server, scale: Scale, seed: int) -> None:
        self.server = server
        self.scale = scale
        self.chance = random.Random(seed)
        self.texts = Texts(self.chance)
        self.numbers = itertools.count(1)
        self.people = at_once(
            [
                partial(server.person, f"p{n}", f"correct horse {n} battery")
                for n in range(scale.people)
            ],
            threads=4,
        )
        self.stranger = server.person("stranger", "correct horse stranger battery")
        self.chats: list[Chat] = []
        self.faithful = {person.user_id: Follower(person, 37) for person in self.people}
        """Clients that poll all the time."""
        self.sleepers = {person.user_id: Follower(person, 23) for person in self.people}
        """Clients that keep their cursor from month one, and come back today."""
        for follower in (*self.faithful.values(), *self.sleepers.values()):
            follower.once()
        self._settle()

    def _settle(self) -> None:
        pairs = list(itertools.combinations(self.people, 2))
        for one, other in self.chance.sample(pairs, self.scale.privates):
            message = one.send(other, "hello", self._client_id()).ok(201)
            members = {each.user_id: each for each in (one, other)}
            chat = Chat(message["chat_id"], members)
            chat.stretches = {user_id: [(1, None)] for user_id in members}
            chat.wrote(message)
            self.chats.append(chat)
        for n in range(self.scale.groups):
            owner, *others = self.chance.sample(self.people, self.scale.group_size)
            group = owner.group(*others, name=f"group {n}")
            chat = Chat(group["group_id"], {}, owner)
            for person in (owner, *others):
                chat.joined(person, 1)
            self._system(chat)
            self.chats.append(chat)
        for one, other in self.chance.sample(pairs, 2):
            one.block(other)
            if self.chance.random() < 0.5:
                one.unblock(other)

    @property
    def groups(self) -> list[Chat]:
        """The groups."""
        return [chat for chat in self.chats if chat.owner is not None]

    def _client_id(self) -> str:
        return f"id-{next(self.numbers)}"

    # What they do in an hour ---------------------------------------------------------------------

    def talk(self, share: float = 1.0, *, come_and_go: bool = True) -> None:
        """Have some of the chats talked in, many at once; members come and go meanwhile."""
        chosen = [chat for chat in self.chats if self.chance.random() < share] or self.chats[:1]
        jobs: list[Callable[[], None]] = []
        for chat in chosen:
            acts: list[Callable[[Chat], None]] = [self._say] * self.scale.messages
            if chat.owner is not None and come_and_go:
                places = self.chance.sample(range(len(acts)), 2)
                for place in places:
                    acts[place] = self._come_or_go
            jobs.append(partial(self._live, chat, acts))
        at_once(jobs, threads=4)

    def poll(self, followers: dict[str, Follower]) -> None:
        """Have clients take all that is new."""
        at_once([each.until_quiet for each in followers.values()], threads=4)

    def _live(self, chat: Chat, acts: list[Callable[[Chat], None]]) -> None:
        for act in acts:
            act(chat)

    def _say(self, chat: Chat) -> None:
        sender = self.chance.choice(list(chat.members.values()))
        text = self.texts()
        client_id = self._client_id() if self.chance.random() < 0.7 else None
        if chat.owner is None:
            (other,) = (each for each in chat.members.values() if each is not sender)
            answer = sender.send(other, text, client_id)
            if answer.status == 403:
                # The other one blocks: nothing is written.
                answer.refused(403, "blocked")
                return
            message = answer.ok(201)
        else:
            message = sender.send_group(chat.chat_id, text, client_id).ok(201)
        assert message["text"] == text
        assert message["client_id"] == client_id
        chat.wrote(message)
        if client_id and self.chance.random() < 0.05:
            again = (
                sender.send(other, text, client_id)
                if chat.owner is None
                else sender.send_group(chat.chat_id, text, client_id)
            )
            assert again.ok(200) == message

    def _come_or_go(self, chat: Chat) -> None:
        owner = chat.owner
        assert owner is not None
        outside = [each for each in self.people if each.user_id not in chat.members]
        guests = [each for each in chat.members.values() if each is not owner]
        coming = not guests or (bool(outside) and self.chance.random() < 0.5)
        if coming:
            # Who was there before rather than a new one.
            former = [each for each in outside if each.user_id in chat.stretches]
            person = self.chance.choice(former or outside)
            answer = owner.add(chat.chat_id, person)
            if answer.status == 403:
                answer.refused(403, "blocked")
                return
            answer.ok(201)
            chat.joined(person, len(chat.log) + 1)
            (told,) = self._system(chat)
        elif self.chance.random() < 0.2:
            owner.set_role(chat.chat_id, self.chance.choice(guests), "admin").ok()
            self._system(chat)
        else:
            person = self.chance.choice(guests)
            actor = self.chance.choice((owner, person))
            actor.remove(chat.chat_id, person).ok()
            chat.left(person, len(chat.log) + 1)
            (told,) = self._system(chat)
            assert told["sender_id"] == actor.user_id

    def _system(self, chat: Chat) -> list[JSON]:
        """Write down what the server says has happened to a group."""
        assert chat.owner is not None
        told: list[JSON] = chat.owner.messages(chat.chat_id, after=len(chat.log)).ok()["results"]
        for message in told:
            assert message["kind"] == "system"
            chat.wrote(message)
        return told
