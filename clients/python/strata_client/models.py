"""What the server answers, as plain immutable objects. Fields that are not known are left out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that was wrong with a request; `attr` is the field at fault, if one was."""

    code: str
    detail: str
    attr: str | None


@dataclass(frozen=True, slots=True)
class User:
    """A user, as others see them."""

    user_id: str
    username: str
    display_name: str

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """Return the user in an answer."""
        return cls(data["user_id"], data["username"], data["display_name"])


@dataclass(frozen=True, slots=True)
class Account:
    """A user and the token by which they come in."""

    user: User
    token: str

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """Return what `/register` and `/login` answer."""
        return cls(User.read(data), data["token"])


@dataclass(frozen=True, slots=True)
class Message:
    """A message, named by its chat and its place in it."""

    chat_id: str
    seq: int
    sender_id: str
    kind: str
    """`text`, `system` for what happened to a group, or `removed` by a moderator."""
    text: str
    sent_at: datetime
    client_id: str | None
    """The sender's own name for it; None for everybody else."""

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """Return the message in an answer."""
        return cls(
            data["chat_id"],
            data["seq"],
            data["sender_id"],
            data["kind"],
            data["text"],
            _time(data["sent_at"]),
            data["client_id"],
        )


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that is in the chat; not `created` where an earlier request had put it there."""

    message: Message
    created: bool


@dataclass(frozen=True, slots=True)
class ChatNews:
    """What is new in one chat, oldest first; `start` and `end` as far as you may see."""

    chat_id: str
    kind: str
    name: str
    start: int
    end: int
    messages: tuple[Message, ...]

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """Return the chat in an answer to a poll."""
        return cls(
            data["chat_id"],
            data["kind"],
            data["name"],
            data["start"],
            data["end"],
            tuple(Message.read(each) for each in data["messages"]),
        )


@dataclass(frozen=True, slots=True)
class News:
    """An answer to a poll."""

    chats: tuple[ChatNews, ...]
    cursor: str
    has_more: bool
    reset: bool

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """Return what `/get_messages` answers."""
        return cls(
            tuple(ChatNews.read(each) for each in data["chats"]),
            data["cursor"],
            data["has_more"],
            data["reset"],
        )

    @property
    def messages(self) -> tuple[Message, ...]:
        """All messages, chat by chat, in seq order within each."""
        return tuple(message for chat in self.chats for message in chat.messages)


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat that you are in, or a group that you have left."""

    chat_id: str
    kind: str
    name: str
    start: int
    end: int
    last_at: datetime | None
    created_at: datetime

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """Return the chat in an answer."""
        return cls(
            data["chat_id"],
            data["kind"],
            data["name"],
            data["start"],
            data["end"],
            _time(data["last_at"]) if data["last_at"] else None,
            _time(data["created_at"]),
        )


@dataclass(frozen=True, slots=True)
class Group:
    """A group."""

    group_id: str
    name: str
    owner_id: str | None
    """None when everybody has left."""
    member_count: int
    created_at: datetime

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """Return the group in an answer."""
        return cls(
            data["group_id"],
            data["name"],
            data["owner_id"],
            data["member_count"],
            _time(data["created_at"]),
        )


@dataclass(frozen=True, slots=True)
class Membership:
    """Who is in a group, as what, and since when."""

    group_id: str
    user_id: str
    role: str
    joined_at: datetime

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """Return the membership in an answer."""
        return cls(data["group_id"], data["user_id"], data["role"], _time(data["joined_at"]))


@dataclass(frozen=True, slots=True)
class Block:
    """Whom you block, and since when."""

    user_id: str
    created_at: datetime

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """Return the block in an answer."""
        return cls(data["user_id"], _time(data["created_at"]))


@dataclass(frozen=True, slots=True)
class HourObject:
    """What cold storage holds for you of one hour of one chat."""

    path: str
    hour: datetime
    chat_id: str
    first_seq: int
    last_seq: int
    count: int
    size: int
    sha256: str

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """Return the object in an answer."""
        return cls(
            data["path"],
            _time(data["hour"]),
            data["chat_id"],
            data["first_seq"],
            data["last_seq"],
            data["count"],
            data["size"],
            data["sha256"],
        )


@dataclass(frozen=True, slots=True)
class Report:
    """A report of yours; `state` says how far the moderators are with it."""

    report_id: str
    kind: str
    """`message` or `user`."""
    user_id: str
    chat_id: str | None
    seq: int | None
    reason: str
    comment: str | None
    state: str
    created_at: datetime

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """Return the report in an answer."""
        return cls(
            data["report_id"],
            data["kind"],
            data["user_id"],
            data["chat_id"],
            data["seq"],
            data["reason"],
            data["comment"],
            data["state"],
            _time(data["created_at"]),
        )


@dataclass(frozen=True, slots=True)
class Export:
    """An export of all that is yours: how far it is, and where to get it."""

    export_id: str
    state: str
    """`waiting`, `running`, `ready`, `failed` or `withdrawn`."""
    messages: int
    total: int
    expires_at: datetime | None
    size: int | None
    sha256: str | None
    detail: str

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """Return the export in an answer."""
        return cls(
            data["export_id"],
            data["state"],
            data["messages"],
            data["total"],
            _time(data["expires_at"]) if data["expires_at"] else None,
            data["size"],
            data["sha256"],
            data["detail"],
        )
