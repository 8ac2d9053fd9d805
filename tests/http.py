"""A small client of the API, which takes nothing on trust: every answer is looked over on arrival."""

from __future__ import annotations

import functools
import itertools
import json
import logging
import re
import secrets
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, TypeVar

import httpx

from tests.described import Described

# A line for each of many thousand requests is of no use.
logging.getLogger("httpx").setLevel(logging.WARNING)

JSON = dict[str, Any]
T = TypeVar("T")

TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(?:Z|\+00:00)")
MESSAGE_KEYS: Final = {"chat_id", "seq", "sender_id", "kind", "text", "sent_at", "client_id"}
CHAT_KEYS: Final = {"chat_id", "kind", "name", "start", "end", "messages"}
GROUP_KEYS: Final = {"group_id", "name", "owner_id", "member_count", "created_at"}
MEMBERSHIP_KEYS: Final = {"group_id", "user_id", "role", "joined_at"}
USER_KEYS: Final = {"user_id", "username", "display_name"}
BLOCK_KEYS: Final = {"user_id", "created_at"}
LIST_KEYS: Final = {"next", "previous", "results"}
ERROR_KEYS: Final = {"type", "errors"}
PROBLEM_KEYS: Final = {"code", "detail", "attr"}

# No request may take longer, whatever is broken.
PATIENCE_SECONDS: Final = 10.0


class Absent:
    """What a field is that is not sent at all."""


ABSENT: Final = Absent()


@dataclass(frozen=True)
class Answer:
    """An answer of the server."""

    status: int
    headers: httpx.Headers
    content: bytes

    @functools.cached_property
    def body(self) -> Any:
        """The JSON in it."""
        return json.loads(self.content.decode("utf-8")) if self.content else None

    def ok(self, *statuses: int) -> Any:
        """Demand one of these statuses (200 unless given) and return the body."""
        assert self.status in (statuses or (200,)), self
        if self.content:
            assert self.is_json, self
        return self.body

    def refused(self, status: int, code: str | None = None, attr: str | None = None) -> JSON:
        """Demand a refusal in the one shape, and return its first problem."""
        assert self.status == status, self
        problem = self.problem()
        if code is not None:
            assert problem["code"] == code, self
        if attr is not None:
            assert attr in {each["attr"] for each in self.body["errors"]}, self
        return problem

    def problem(self) -> JSON:
        """Demand the shape of an error, and return its first problem."""
        assert self.is_json, self
        assert set(self.body) == ERROR_KEYS, self
        assert self.body["errors"], self
        for each in self.body["errors"]:
            assert set(each) == PROBLEM_KEYS, self
            assert re.fullmatch(r"[a-z0-9_]+", each["code"]), self
            assert isinstance(each["detail"], str), self
            assert " " in each["detail"], self
            assert each["attr"] is None or isinstance(each["attr"], str), self
        first: JSON = self.body["errors"][0]
        return first

    @property
    def is_json(self) -> bool:
        """Whether it says that it is JSON."""
        kind = self.headers.get("content-type", "").partition(";")[0]
        return kind in {"application/json", "application/problem+json"}

    def __repr__(self) -> str:
        text = self.content[:2000].decode("utf-8", "backslashreplace")
        return f"<{self.status} {dict(self.headers)} {text}>"


class Server:
    """The server at an address."""

    def __init__(self, base_url: str, timeout: float = 30.0) -> None:
        self.base_url = base_url
        self.described: Described | None = None
        self.http = httpx.Client(
            base_url=base_url,
            timeout=timeout,
            # No cookie goes from one test into another.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
        )

    def close(self) -> None:
        """Let go of the connections."""
        self.http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        json_body: Any = ABSENT,
        content: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
        params: dict[str, Any] | None = None,
    ) -> Answer:
        """Send one request and return whatever comes back."""
        sent = {"accept": "application/json", **(headers or {})}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        if json_body is not ABSENT:
            content = json.dumps(json_body).encode()
            sent.setdefault("content-type", "application/json")
        elif content is not None:
            sent.setdefault("content-type", "application/json")
        response = self.http.request(method, path, content=content, headers=sent, params=params)
        answer = Answer(response.status_code, response.headers, response.content)
        if self.described is not None:
            self.described.check(method, response.request.url.path, answer)
        return answer

    def post(self, path: str, token: str | None = None, /, **fields: Any) -> Answer:
        """POST the fields that are not ABSENT as JSON."""
        body = {name: value for name, value in fields.items() if value is not ABSENT}
        return self.call("POST", path, token=token, json_body=body)

    def get(self, path: str, token: str | None = None, /, **params: Any) -> Answer:
        """GET."""
        return self.call("GET", path, token=token, params=params or None)

    def person(self, name: str = "u", password: str | None = None) -> Person:
        """Register somebody with a name that nobody else has."""
        username = f"{name}-{secrets.token_hex(6)}"
        fields: JSON = {"username": username, "display_name": name.capitalize()}
        if password is not None:
            fields["password"] = password
        body = self.post("/register", **fields).ok(201)
        return Person(
            self, body["user_id"], body["username"], body["display_name"], body["token"], password
        )

    def people(self, *names: str) -> list[Person]:
        """Register several."""
        return [self.person(name) for name in names]

    def crowd(self, size: int) -> list[Person]:
        """Register many, at once."""
        return at_once([self.person] * size, threads=8)


@dataclass
class Person:
    """A user, who can do whatever the API lets users do."""

    server: Server
    user_id: str
    username: str
    display_name: str
    token: str
    password: str | None = None

    def post(self, path: str, /, **fields: Any) -> Answer:
        """POST as this user."""
        return self.server.post(path, self.token, **fields)

    def get(self, path: str, /, **params: Any) -> Answer:
        """GET as this user."""
        return self.server.get(path, self.token, **params)

    def send(self, to: Person | str, text: Any, client_id: Any = ABSENT) -> Answer:
        """`/send_message`."""
        return self.post("/send_message", recipient_id=_id(to), text=text, client_id=client_id)

    def send_group(self, group: JSON | str, text: Any, client_id: Any = ABSENT) -> Answer:
        """`/send_message_to_group`."""
        return self.post(
            "/send_message_to_group", group_id=_id(group), text=text, client_id=client_id
        )

    def create_group(self, name: Any, members: Sequence[Person | str] | Absent = ABSENT) -> Answer:
        """`/create_group`."""
        ids = members if isinstance(members, Absent) else [_id(member) for member in members]
        return self.post("/create_group", name=name, member_ids=ids)

    def group(self, *members: Person, name: str = "a group") -> JSON:
        """Create a group that is to come about."""
        body: JSON = self.create_group(name, members).ok(201)
        return body

    def add(self, group: JSON | str, who: Person | str) -> Answer:
        """`/add_user_to_group`."""
        return self.post("/add_user_to_group", group_id=_id(group), user_id=_id(who))

    def remove(self, group: JSON | str, who: Person | str) -> Answer:
        """`/remove_user_from_group`."""
        return self.post("/remove_user_from_group", group_id=_id(group), user_id=_id(who))

    def set_role(self, group: JSON | str, who: Person | str, role: Any) -> Answer:
        """`/set_group_role`."""
        return self.post("/set_group_role", group_id=_id(group), user_id=_id(who), role=role)

    def block(self, who: Person | str) -> Answer:
        """`/block_user`."""
        return self.post("/block_user", user_id=_id(who))

    def unblock(self, who: Person | str) -> Answer:
        """`/unblock_user`."""
        return self.post("/unblock_user", user_id=_id(who))

    def poll(self, cursor: Any = ABSENT, limit: Any = ABSENT) -> Answer:
        """`/get_messages`."""
        return self.post("/get_messages", cursor=cursor, limit=limit)

    def messages(self, chat: JSON | str, /, **params: Any) -> Answer:
        """`/chats/{id}/messages/`."""
        return self.get(f"/chats/{_id(chat)}/messages/", **params)

    def history(self, chat: JSON | str, limit: int = 100) -> list[JSON]:
        """Read a chat through its pages from the newest message to the oldest; oldest first."""
        pages: list[list[JSON]] = []
        url: str | None = f"/chats/{_id(chat)}/messages/?limit={limit}"
        while url is not None:
            page = self.get(url).ok()
            assert set(page) == LIST_KEYS, page
            pages.append(page["results"])
            url = page["next"]
            assert len(pages) < 10_000, "these pages have no end"
        return [message for page in reversed(pages) for message in page]

    def walk(self, path: str) -> Iterator[JSON]:
        """Read a list through its pages."""
        url: str | None = path
        while url is not None:
            page = self.get(url).ok()
            assert set(page) == LIST_KEYS, page
            yield from page["results"]
            url = page["next"]

    def follow(self, limit: int | Absent = ABSENT) -> Follower:
        """Start to follow this user's messages by cursor."""
        return Follower(self, limit)


@dataclass
class Follower:
    """A client that passes the last cursor it got, and keeps all that it was given."""

    person: Person
    limit: int | Absent = ABSENT
    cursor: str | None = None
    got: dict[str, list[JSON]] = field(default_factory=dict)

    def once(self) -> JSON:
        """Poll once."""
        answer = self.person.poll(ABSENT if self.cursor is None else self.cursor, self.limit)
        body: JSON = answer.ok()
        self.take(body)
        return body

    def take(self, body: JSON) -> None:
        """Look over an answer and keep what is in it."""
        first = self.cursor is None
        check_inbox(body, self.limit if isinstance(self.limit, int) else 100)
        for chat in body["chats"]:
            if not first:
                assert chat["messages"], "a chat without news"
            self.got.setdefault(chat["chat_id"], []).extend(chat["messages"])
        self.cursor = body["cursor"]

    def until_quiet(self) -> dict[str, list[JSON]]:
        """Poll until an answer brings nothing; return all there was since the start."""
        for _ in range(100_000):
            body = self.once()
            if not body["has_more"] and not any(chat["messages"] for chat in body["chats"]):
                return self.got
        raise AssertionError("it never gets quiet")

    def texts(self, chat: str) -> list[str]:
        """Return the texts got from a chat, in the order they came."""
        return [message["text"] for message in self.got.get(chat, [])]

    def seqs(self, chat: str) -> list[int]:
        """Return the seqs got from a chat, in the order they came."""
        return [message["seq"] for message in self.got.get(chat, [])]


def check_inbox(body: JSON, limit: int) -> None:
    """Demand the shape of an answer to `/get_messages`."""
    assert set(body) == {"chats", "cursor", "has_more", "reset"}, body
    assert isinstance(body["cursor"], str)
    assert 0 < len(body["cursor"].encode()) <= 4096
    assert isinstance(body["has_more"], bool)
    assert isinstance(body["reset"], bool)
    seen = [chat["chat_id"] for chat in body["chats"]]
    assert len(seen) == len(set(seen)), "a chat twice in one answer"
    assert sum(len(chat["messages"]) for chat in body["chats"]) <= limit
    for chat in body["chats"]:
        assert set(chat) == CHAT_KEYS, chat
        check_id(chat["chat_id"])
        assert chat["kind"] in {"private", "group"}
        assert isinstance(chat["name"], str)
        assert type(chat["start"]) is int
        assert type(chat["end"]) is int
        seqs = [message["seq"] for message in chat["messages"]]
        assert seqs == sorted(set(seqs)), seqs
        for message in chat["messages"]:
            check_message(message, chat["chat_id"])
            assert chat["start"] <= message["seq"] <= chat["end"], chat


def check_id(value: Any) -> None:
    """Demand a UUIDv7 in canonical form."""
    assert isinstance(value, str)
    parsed = uuid.UUID(value)
    assert str(parsed) == value
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122


def check_time(value: Any) -> None:
    """Demand RFC 3339 in UTC with microseconds."""
    assert isinstance(value, str)
    assert TIME.fullmatch(value), value


def check_message(message: JSON, chat_id: str | None = None) -> None:
    """Demand the shape of a message."""
    assert set(message) == MESSAGE_KEYS, message
    check_id(message["chat_id"])
    assert chat_id is None or message["chat_id"] == chat_id
    assert type(message["seq"]) is int
    assert message["seq"] >= 1
    check_id(message["sender_id"])
    assert message["kind"] in {"text", "system"}
    assert isinstance(message["text"], str)
    assert message["text"]
    check_time(message["sent_at"])
    assert message["client_id"] is None or isinstance(message["client_id"], str)


def check_group(group: JSON) -> None:
    """Demand the shape of a group."""
    assert set(group) == GROUP_KEYS, group
    check_id(group["group_id"])
    check_id(group["owner_id"])
    assert isinstance(group["name"], str)
    assert type(group["member_count"]) is int
    check_time(group["created_at"])


def check_membership(membership: JSON) -> None:
    """Demand the shape of a membership."""
    assert set(membership) == MEMBERSHIP_KEYS, membership
    check_id(membership["group_id"])
    check_id(membership["user_id"])
    assert membership["role"] in {"owner", "admin", "member"}
    check_time(membership["joined_at"])


def at_once(jobs: Sequence[Callable[[], T]], threads: int | None = None) -> list[T]:
    """Run the jobs in threads that start together; return their results in order."""
    together = threading.Barrier(len(jobs)) if threads is None else None

    def run(job: Callable[[], T]) -> T:
        if together is not None:
            together.wait(30)
        return job()

    with ThreadPoolExecutor(threads or len(jobs)) as pool:
        return list(pool.map(run, jobs))


def counter() -> Callable[[], int]:
    """Return a counter that threads may share."""
    return itertools.count(1).__next__


def _id(thing: Person | JSON | str) -> Any:
    if isinstance(thing, Person):
        return thing.user_id
    if isinstance(thing, dict):
        return thing.get("group_id") or thing.get("chat_id")
    return thing
