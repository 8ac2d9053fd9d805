"""What was acknowledged, what each user received, and whether the two agree."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FAULTS = ("missing", "doubled", "altered", "out of order")
FIRST_FAULTS = 10

Message = dict[str, Any]


class Ledger:
    """Every acknowledged message, by chat and seq; and the faults found, with the first of them."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[int, Message]] = defaultdict(dict)
        self.acknowledged = 0
        self.repeats = 0
        self.faults: Counter[str] = Counter()
        self.examples: list[str] = []
        self._by_client_id: dict[tuple[str, str], tuple[str, int]] = {}
        self._lock = threading.Lock()

    def acknowledge(self, message: Message, *, sender_id: str, text: str, client_id: str) -> None:
        """Note the answer to a send; another answer to the same client_id must be the same."""
        place = (message["chat_id"], message["seq"])
        said = (message["sender_id"], message["text"], message["client_id"], message["kind"])
        with self._lock:
            if said != (sender_id, text, client_id, "text"):
                self._fault("altered", f"the answer to {client_id} was {message}")
            known = self._by_client_id.setdefault((sender_id, client_id), place)
            if known != place:
                self._fault("doubled", f"{client_id} was sent as {known} and as {place}")
            if place[1] in self.messages[place[0]]:
                self.repeats += 1
                if self.messages[place[0]][place[1]] != message:
                    self._fault("altered", f"{place} was answered in two ways")
            else:
                self.messages[place[0]][place[1]] = message
                self.acknowledged += 1

    def fault(self, kind: str, what: str, times: int = 1) -> None:
        """Note a fault."""
        with self._lock:
            self._fault(kind, what, times)

    def _fault(self, kind: str, what: str, times: int = 1) -> None:
        self.faults[kind] += times
        if len(self.examples) < FIRST_FAULTS:
            self.examples.append(f"{kind}: {what}")

    def end(self, chat_id: str) -> int:
        """Return the last acknowledged seq of a chat, 0 when there is none."""
        with self._lock:
            return max(self.messages.get(chat_id, ()), default=0)

    def compare(self, viewer: str, chat_id: str, received: Mapping[int, Message]) -> None:
        """Compare what a user has of a chat, all that there is, with what was acknowledged."""
        sent = self.messages.get(chat_id, {})
        end = max((*sent, *received), default=0)
        for seq in range(1, end + 1):
            message, original = received.get(seq), sent.get(seq)
            if message is None:
                self.fault("missing", f"{viewer} lacks {chat_id}/{seq}")
            elif original is None:
                if message["kind"] == "text":
                    self.fault("doubled", f"{chat_id}/{seq} is a message that nobody sent")
            elif message != {**original, "client_id": message["client_id"]}:
                self.fault("altered", f"{viewer} received {message} for {original}")
            elif message["client_id"] != (
                original["client_id"] if original["sender_id"] == viewer else None
            ):
                self.fault("altered", f"{viewer} sees a client_id of {chat_id}/{seq}")


@dataclass(slots=True)
class Inbox:
    """One user's side: the cursor, and what came with it. Used by one thread at a time."""

    user_id: str
    token: str
    ledger: Ledger
    cursor: str = ""
    chats: set[str] = field(default_factory=set)
    """The chats that messages of were acknowledged, to this user or others."""
    received: dict[str, dict[int, Message]] = field(default_factory=lambda: defaultdict(dict))
    count: int = 0

    def take(self, answer: Mapping[str, Any]) -> int:
        """Take the answer to a poll; return how many messages came."""
        before = self.count
        if answer["reset"]:
            self.ledger.fault("altered", f"{self.user_id} was told to start anew")
        for chat in answer["chats"]:
            had = self.received[chat["chat_id"]]
            last = max(had, default=0)
            for message in chat["messages"]:
                seq = message["seq"]
                if seq in had:
                    self.ledger.fault("doubled", f"{chat['chat_id']}/{seq} for {self.user_id}")
                    continue
                if seq < last:
                    self.ledger.fault(
                        "out of order", f"{chat['chat_id']}: {seq} after {last} for {self.user_id}"
                    )
                last = max(last, seq)
                had[seq] = message
                self.count += 1
        self.cursor = answer["cursor"]
        return self.count - before

    def complete(self) -> bool:
        """Say whether the last acknowledged message of each of the user's chats is here."""
        return all(
            max(self.received.get(chat, ()), default=0) >= self.ledger.end(chat)
            for chat in self.chats
        )

    def compare(self) -> None:
        """Compare everything received with everything acknowledged."""
        for chat_id in self.chats | self.received.keys():
            self.ledger.compare(self.user_id, chat_id, self.received.get(chat_id, {}))
