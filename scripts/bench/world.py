"""What the bench measures: users, chats and cursors made ready, and the requests to repeat.

Polls change nothing, so a cursor from before a chat's last message finds that one message however
often it is sent: that is how each poll of "one new message" finds exactly one. There are more such
users than a web worker remembers cursors of, and each is asked in turn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar
from uuid import uuid4

from scripts.bench.fill import TEXT, Person, forbid_polls, people, private_chats
from scripts.bench.load import PLACEHOLDER, Expected, Request
from scripts.bench.scale import IDLE_POLL, Scale, Scenario
from scripts.demo.client import Server

THREADS = 8
CHATS_EACH = 10
PAGE = 50
IDLE = Expected(200, '"chats":[]', 1, "cache")
ONE_NEW = Expected(200, '"seq":', 1, "cache")
SENT = Expected(201, f'"text":"{TEXT}"', 1)
T = TypeVar("T")


def poll(person: Person, cursor: str) -> Request:
    """Return a poll."""
    return Request("POST", "/get_messages", person.token, json.dumps({"cursor": cursor}))


def send(person: Person, recipient: Person) -> Request:
    """Return a send to a user."""
    body = {"recipient_id": str(recipient.id), "text": TEXT, "client_id": PLACEHOLDER}
    return Request("POST", "/send_message", person.token, json.dumps(body))


def send_to_group(person: Person, group_id: str) -> Request:
    """Return a send to a group."""
    body = {"group_id": group_id, "text": TEXT, "client_id": PLACEHOLDER}
    return Request("POST", "/send_message_to_group", person.token, json.dumps(body))


def page(person: Person, chat_id: object, before: int | None, limit: int = PAGE) -> Request:
    """Return a page of a chat's history."""
    query = f"limit={limit}" + (f"&before={before}" if before else "")
    return Request("GET", f"/chats/{chat_id}/messages/?{query}", person.token)


class World:
    """Makes everything ready through a running server."""

    def __init__(self, server: Server, scale: Scale) -> None:
        self._server = server
        self._scale = scale

    def main(self) -> Iterator[Scenario]:
        """Yield the scenarios that have targets."""
        yield from self._polls()
        yield self._private_sends()
        yield from self._group_sends()
        yield from self._pages()

    def by_messages(self) -> Iterator[tuple[int, list[Scenario]]]:
        """Yield, for each number of messages in a chat, the scenarios that are to stay flat."""
        for size in self._scale.sizes:
            yield size, self._of_size(size)

    def by_chats(self) -> Iterator[tuple[int, Scenario]]:
        """Yield an idle poll for each number of chats of a user, active within the last hour."""
        most = max(self._scale.counts)
        others = people(most)
        for number in self._scale.counts:
            users = people(16)
            pairs = [(user, other) for other in others[:number] for user in users]
            private_chats(pairs, 1, spread_seconds=3000 / len(pairs))
            cursors = self._each(self._caught_up, users)
            requests = [poll(*pair) for pair in zip(users, cursors, strict=True)]
            yield number, Scenario(f"idle poll, {number} chats", requests, IDLE)

    def writers(self) -> Scenario:
        """Return sends of 50 members at once to one group."""
        members = people(50)
        group = self._group("writers", members)
        requests = [send_to_group(member, group) for member in members]
        return Scenario("50 writers to one group", requests, SENT, connections=50, sends=True)

    # Made ready ----------------------------------------------------------------------------------

    def _polls(self) -> Iterator[Scenario]:
        users, others = people(self._scale.pollers), people(CHATS_EACH)
        private_chats([(user, other) for user in users for other in others], 3)
        before = self._each(self._caught_up, users)
        self._all(send(others[0], user) for user in users)
        pairs = list(zip(users, before, strict=True))
        after = self._each(lambda pair: self._caught_up(*pair), pairs)
        idle = [poll(user, cursor) for user, cursor in zip(users, after, strict=True)]
        yield Scenario(IDLE_POLL, idle, IDLE, 0.30, 5.5)
        yield Scenario("poll, one new message", [poll(*one) for one in pairs], ONE_NEW, 0.35, 6)
        yield from self._refusals(users, after)

    def _refusals(self, users: Sequence[Person], cursors: Sequence[str]) -> Iterator[Scenario]:
        """Yield refusals on the routes asked most: no dearer than an idle poll, a 400 by 1.3."""
        strangers = [replace(user, token=f"{place:043d}") for place, user in enumerate(users)]
        unknown = [poll(one, cursor) for one, cursor in zip(strangers[:50], cursors, strict=False)]
        yield Scenario(
            "poll refused, 401", unknown, _refused(401, "authentication_failed"), most_polls=1
        )
        garbled = [poll(user, "nonsense") for user in users]
        yield Scenario("poll refused, 400", garbled, _refused(400, "bad_cursor"), most_polls=1.3)
        hasty = people(100)
        own = self._each(self._caught_up, hasty)
        forbid_polls(hasty)
        often = [poll(user, cursor) for user, cursor in zip(hasty, own, strict=True)]
        yield Scenario("poll refused, 429", often, _refused(429, "throttled"), most_polls=1)
        nowhere = [page(user, uuid4(), None) for user in users]
        yield Scenario("page refused, 404", nowhere, _refused(404, "not_found"), most_polls=1)
        lost = [
            Request("GET", f"/nowhere/{place}/", user.token) for place, user in enumerate(users)
        ]
        yield Scenario("no such path, 404", lost, _refused(404, "not_found"), most_polls=1)

    def _private_sends(self) -> Scenario:
        users = people(self._scale.senders)
        ring = [
            (user, users[(place + step) % len(users)])
            for step in range(1, CHATS_EACH // 2 + 1)
            for place, user in enumerate(users)
        ]
        private_chats(ring, 3)
        self._each(self._caught_up, users)
        return Scenario("send, private", [send(*one) for one in ring], SENT, 0.45, 8, sends=True)

    def _group_sends(self) -> Iterator[Scenario]:
        scale = self._scale
        users = people(scale.groups * 5)
        groups = [
            [users[(place * 5 + step) % len(users)] for step in range(10)]
            for place in range(scale.groups)
        ]
        ids = [self._group(f"ten {place}", members) for place, members in enumerate(groups)]
        self._each(self._caught_up, users)
        requests = [
            send_to_group(members[turn], id_)
            for turn in range(10)
            for members, id_ in zip(groups, ids, strict=True)
        ]
        yield Scenario("send, group of 10", requests, SENT, 0.55, 10, sends=True)
        many = people(scale.wide_members)
        wide = [
            self._group(f"wide {place}", many[place:] + many[:place])
            for place in range(scale.wide_groups)
        ]
        self._each(self._caught_up, many)
        requests = [send_to_group(member, id_) for member in many for id_ in wide]
        yield Scenario(
            f"send, group of {scale.wide_members:,}", requests, SENT, 2.0, 36, sends=True
        )

    def _pages(self) -> Iterator[Scenario]:
        users = people(self._scale.page_chats)
        pairs = [(user, users[place - 1]) for place, user in enumerate(users)]
        chats = private_chats(pairs, 4 * PAGE)
        self._each(self._caught_up, users)
        readers = list(zip(users, chats, strict=True))
        cached = [page(user, chat, None) for user, chat in readers]
        self._all(cached)
        yield Scenario("page of 50, cache", cached, _page(PAGE, "cache"), 0.35, 6)
        older = [page(user, chat, 2 * PAGE + 1) for user, chat in readers]
        yield Scenario("page of 50, database", older, _page(PAGE, "database"), 0.55, 10)

    def _of_size(self, size: int) -> list[Scenario]:
        # As many chats of each size, since senders wait for one another in few of them.
        number = self._scale.sized_chats
        writers, readers = people(2 * number), people(2 * number)
        writing, reading = _couples(writers), _couples(readers)
        private_chats(writing, size)
        chats = private_chats(reading, size)
        self._each(self._caught_up, writers)
        before = self._each(self._caught_up, readers)
        self._all(send(one, other) for one, other in reading)
        polls = [poll(*pair) for pair in zip(readers, before, strict=True)]
        small = min(10, PAGE)
        pages = [
            page(pair[0], chat, None, small) for pair, chat in zip(reading, chats, strict=True)
        ]
        self._all(pages)
        made = [
            Scenario("poll, one new message", polls, ONE_NEW),
            Scenario("page of 10, cache", pages, _page(small, "cache")),
        ]
        if size >= 2 * PAGE:
            deep = [
                page(pair[1], chat, size // 2) for pair, chat in zip(reading, chats, strict=True)
            ]
            made.append(Scenario("page of 50, database", deep, _page(PAGE, "database")))
        sends = [send(*pair) for one, other in writing for pair in ((one, other), (other, one))]
        made.append(Scenario("send, private", sends, SENT, sends=True))
        return made

    # Through the API -----------------------------------------------------------------------------

    def _caught_up(self, person: Person, cursor: str = "") -> str:
        """Return the cursor of someone who has received everything."""
        while True:
            body: dict[str, Any] = {"limit": 500}
            if cursor:
                body["cursor"] = cursor
            answer = self._server.expect((200,), "/get_messages", body, person.token).data
            if cursor and not answer["chats"]:
                return str(answer["cursor"])
            cursor = answer["cursor"]

    def _group(self, name: str, members: Sequence[Person]) -> str:
        owner, *others = members
        body = {"name": name, "member_ids": [str(other.id) for other in others]}
        answer = self._server.expect((201,), "/create_group", body, owner.token)
        return str(answer.data["group_id"])

    def _all(self, requests: Sequence[Request] | Iterator[Request]) -> None:
        """Send each request once, several at once."""

        def one(request: Request) -> None:
            body = json.loads(request.body) if request.body else None
            if body:
                body.pop("client_id", None)
            self._server.call(request.method, request.path, body, request.token)

        self._each(one, list(requests))

    def _each(self, do: Callable[[Any], T], things: Sequence[Any]) -> list[T]:
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(do, things))


def _couples(users: Sequence[Person]) -> list[tuple[Person, Person]]:
    return list(zip(users[::2], users[1::2], strict=True))


def _refused(status: int, code: str) -> Expected:
    return Expected(status, f'"code":"{code}"', 1)


def _page(messages: int, tier: str) -> Expected:
    return Expected(200, '"seq":', messages, tier)
