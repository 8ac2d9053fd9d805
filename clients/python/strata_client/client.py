"""The client: one method per verb, and `messages()`, which yields every message once."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Self, TypeVar

from strata_client.errors import Refused, Unavailable
from strata_client.models import (
    Account,
    Block,
    Chat,
    Export,
    Group,
    HourObject,
    Membership,
    Message,
    News,
    Report,
    Sent,
    User,
)
from strata_client.stores import MemoryStore, Outgoing, Store
from strata_client.transport import Transport

POLL_SECONDS = 20.0
"""Between two polls that bring nothing; the server asks for one a minute at least."""
_TARGETS = {"/send_message": "recipient_id", "/send_message_to_group": "group_id"}
_Item = TypeVar("_Item")


class Client:
    """A user's connection to a server. Not for several threads at once.

    `store` keeps what must outlive the process; the default one lasts as long as the client.
    A request is repeated for up to `patience` seconds while the server is away, wherever that can
    do no harm; then Unavailable is raised. A refusal raises Refused.
    """

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        *,
        store: Store | None = None,
        timeout: float = 15.0,
        patience: float = 60.0,
    ) -> None:
        self.store: Store = store if store is not None else MemoryStore()
        self.transport = Transport(base_url, token=token, timeout=timeout, patience=patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections; the store is its owner's."""
        self.transport.http.close()

    # Coming in ---------------------------------------------------------------------------------

    @property
    def token(self) -> str | None:
        """The token that requests carry."""
        return self.transport.token

    def register(
        self, username: str, *, password: str | None = None, display_name: str | None = None
    ) -> Account:
        """Create an account and be it. Raises Refused with `username_taken`."""
        body = {"username": username, "password": password, "display_name": display_name}
        return self._come_in("/register", body)

    def login(self, username: str, password: str) -> Account:
        """Get a new token and use it. Raises Refused with `wrong_credentials`."""
        return self._come_in("/login", {"username": username, "password": password})

    def logout(self) -> None:
        """Revoke the token."""
        self._post("/logout", {}, repeatable=False)
        self.transport.token = None

    def me(self) -> User:
        """Return the caller."""
        return User.read(self._get("/users/me/"))

    def user(self, user_id: str) -> User:
        """Return any user, by id."""
        return User.read(self._get(f"/users/{user_id}/"))

    # Writing -----------------------------------------------------------------------------------

    def send_message(self, recipient_id: str, text: str, *, client_id: str | None = None) -> Sent:
        """Write to a user.

        The text is in the outbox until the server has answered. After Unavailable, or the death
        of the process, `flush()` sends it again, and it is in the chat once.
        """
        return self._send("/send_message", recipient_id, text, client_id)

    def send_message_to_group(
        self, group_id: str, text: str, *, client_id: str | None = None
    ) -> Sent:
        """Write to a group; see `send_message`."""
        return self._send("/send_message_to_group", group_id, text, client_id)

    def flush(self) -> list[Sent | Refused]:
        """Send what is still in the outbox, oldest first; return what came of each."""
        results: list[Sent | Refused] = []
        for outgoing in self.store.outbox():
            try:
                results.append(self._deliver(outgoing))
            except Refused as refused:
                results.append(refused)
        return results

    # Receiving ---------------------------------------------------------------------------------

    def poll(self, limit: int | None = None) -> News:
        """Ask once for what is new since the stored cursor.

        The cursor moves only by `acknowledge`, so that an answer that was not handled is given
        again. `messages()` does all of it.
        """
        body: dict[str, Any] = {} if limit is None else {"limit": limit}
        cursor = self.store.cursor()
        if cursor is not None:
            body["cursor"] = cursor
        return News.read(self._post("/get_messages", body))

    def acknowledge(self, news: News) -> None:
        """Keep an answer's cursor: its messages are handled."""
        self.store.advance(news.cursor)

    def messages(
        self,
        *,
        follow: bool = True,
        interval: float = POLL_SECONDS,
        limit: int | None = None,
        on_reset: Callable[[], None] | None = None,
        wait: Callable[[float], object] = time.sleep,
    ) -> Iterator[Message]:
        """Yield every new message once, in seq order within a chat; go on for ever if `follow`.

        A message counts as handled when the next one is asked for. `on_reset` is called when a
        restore has rolled the server's history back, before the messages that there are now.
        While the server is away, asking goes on.
        """
        while True:
            try:
                news = self.poll(limit)
            except Unavailable:
                if not follow:
                    raise
                wait(interval)
                continue
            if news.reset:
                self.store.forget()
                if on_reset is not None:
                    on_reset()
            for message in news.messages:
                if message.seq > self.store.handled(message.chat_id):
                    yield message
                    self.store.handle(message.chat_id, message.seq)
            self.acknowledge(news)
            if not news.has_more:
                if not follow:
                    return
                wait(interval)

    def history(
        self, chat_id: str, *, before: int | None = None, limit: int = 100
    ) -> Iterator[Message]:
        """Yield a chat's messages from the latest (or from `before`) back to the first."""
        params: dict[str, Any] | None = {"limit": limit}
        if before is not None and params is not None:
            params["before"] = before
        path: str | None = f"/chats/{chat_id}/messages/"
        while path is not None:
            page = self._get(path, params)
            yield from (Message.read(each) for each in reversed(page["results"]))
            path, params = page["next"] and self.transport.path_of(page["next"]), None

    # Chats, groups, blocks ---------------------------------------------------------------------

    def chats(self) -> Iterator[Chat]:
        """Yield the chats that you are in."""
        return self._walk("/chats/", Chat.read)

    def chat(self, chat_id: str) -> Chat:
        """Return one chat."""
        return Chat.read(self._get(f"/chats/{chat_id}/"))

    def groups(self) -> Iterator[Group]:
        """Yield the groups that you are a member of."""
        return self._walk("/groups/", Group.read)

    def group(self, group_id: str) -> Group:
        """Return one group."""
        return Group.read(self._get(f"/groups/{group_id}/"))

    def members(self, group_id: str) -> Iterator[Membership]:
        """Yield a group's members, the longest-standing first."""
        return self._walk(f"/groups/{group_id}/members/", Membership.read)

    def create_group(self, name: str, member_ids: list[str] | None = None) -> Group:
        """Create a group; you are its owner."""
        body = {"name": name, "member_ids": member_ids or []}
        # Sent twice, there would be two.
        return Group.read(self._post("/create_group", body, repeatable=False))

    def add_user_to_group(self, group_id: str, user_id: str) -> Membership:
        """Put a user into a group; a member already stays one."""
        body = {"group_id": group_id, "user_id": user_id}
        return Membership.read(self._post("/add_user_to_group", body))

    def remove_user_from_group(self, group_id: str, user_id: str) -> Membership:
        """Take a user out of a group, or leave it."""
        body = {"group_id": group_id, "user_id": user_id}
        return Membership.read(self._post("/remove_user_from_group", body, repeatable=False))

    def set_group_role(self, group_id: str, user_id: str, role: str) -> Membership:
        """Make a member `admin` or `member`, or hand the group over with `owner`."""
        body = {"group_id": group_id, "user_id": user_id, "role": role}
        return Membership.read(self._post("/set_group_role", body, repeatable=False))

    def block_user(self, user_id: str) -> Block:
        """Block a user; a block that stands already stays."""
        return Block.read(self._post("/block_user", {"user_id": user_id}))

    def unblock_user(self, user_id: str) -> None:
        """Lift a block."""
        self._post("/unblock_user", {"user_id": user_id}, repeatable=False)

    def blocks(self) -> Iterator[Block]:
        """Yield whom you block."""
        return self._walk("/blocks/", Block.read)

    # Cold storage ------------------------------------------------------------------------------

    def archive(self, **filters: Any) -> Iterator[HourObject]:
        """Yield your hour objects; `year`, `day`, `hour` and `chat_id` narrow it."""
        return self._walk("/archive/", HourObject.read, filters)

    def hour_object(self, path: str) -> Iterator[Message]:
        """Yield the messages of an hour object, by its `path`, while they come in."""
        with self.transport.stream(f"/archive/{path.strip('/')}/") as response:
            for line in response.iter_lines():
                if line:
                    yield Message.read(json.loads(line))

    def export(self) -> Export:
        """Have all that is yours put into a ZIP; one that is being made or fresh is returned."""
        return Export.read(self._post("/export", {}))

    def exported(self, export_id: str) -> Export:
        """Return how far an export is."""
        return Export.read(self._get(f"/exports/{export_id}/"))

    def download(self, export_id: str) -> Iterator[bytes]:
        """Yield the bytes of an export's ZIP while they come in."""
        with self.transport.stream(f"/exports/{export_id}/download/") as response:
            yield from response.iter_bytes()

    # Reports -----------------------------------------------------------------------------------

    def report_message(
        self, chat_id: str, seq: int, reason: str, *, comment: str | None = None
    ) -> Report:
        """Report a message: `spam`, `harassment`, `violence`, `illegal` or `other`."""
        body = {"chat_id": chat_id, "seq": seq, "reason": reason, "comment": comment}
        return Report.read(self._post("/report_message", body))

    def report_user(self, user_id: str, reason: str, *, comment: str | None = None) -> Report:
        """Report a user, for the same reasons."""
        body = {"user_id": user_id, "reason": reason, "comment": comment}
        return Report.read(self._post("/report_user", body))

    def reports(self) -> Iterator[Report]:
        """Yield your reports, the latest first."""
        return self._walk("/reports/", Report.read)

    # -------------------------------------------------------------------------------------------

    def _come_in(self, path: str, body: dict[str, Any]) -> Account:
        account = Account.read(self._post(path, body, repeatable=False))
        self.transport.token = account.token
        return account

    def _send(self, path: str, target: str, text: str, client_id: str | None) -> Sent:
        outgoing = Outgoing(client_id or uuid.uuid4().hex, path, target, text)
        self.store.put(outgoing)
        return self._deliver(outgoing)

    def _deliver(self, outgoing: Outgoing) -> Sent:
        body = {
            _TARGETS[outgoing.path]: outgoing.target,
            "text": outgoing.text,
            "client_id": outgoing.client_id,
        }
        try:
            response = self.transport.call("POST", outgoing.path, body=body)
        except Refused as refused:
            # Without a good token nothing is said of the text yet.
            if refused.status != 401:  # noqa: PLR2004
                self.store.drop(outgoing.client_id)
            raise
        self.store.drop(outgoing.client_id)
        return Sent(Message.read(response.json()), response.status_code == 201)  # noqa: PLR2004

    def _post(self, path: str, body: dict[str, Any], *, repeatable: bool = True) -> Any:
        given = {name: value for name, value in body.items() if value is not None}
        response = self.transport.call("POST", path, body=given, repeatable=repeatable)
        return response.json() if response.content else None

    def _get(self, path: str, params: dict[str, Any] | None = None) -> Any:
        return self.transport.call("GET", path, params=params).json()

    def _walk(
        self,
        path: str,
        read: Callable[[dict[str, Any]], _Item],
        params: dict[str, Any] | None = None,
    ) -> Iterator[_Item]:
        page = self._get(path, params)
        while True:
            yield from map(read, page["results"])
            if page["next"] is None:
                return
            page = self._get(self.transport.path_of(page["next"]))
