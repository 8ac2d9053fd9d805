"""The play: who speaks to whom, everybody polling meanwhile, and the history read at the end."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import combinations

from scripts.demo.client import Server
from scripts.demo.corpus import Dialog
from scripts.demo.ledger import Inbox, Ledger, Message

SPEAKERS = 4
SENDERS = 8
POLLERS = 3
EVERYBODY = "Everybody"
# Of this many dialogs of a language one is held before everybody, and some in its own group.
EVERYBODY_EACH, GROUP_EACH = 30, 3
REPEATED = 0.1
QUIET_SECONDS = 30.0
HISTORY_CHATS = 40
PAGE = 20

Advance = Callable[[str, int], None]


@dataclass(slots=True)
class Chat:
    """A place to speak in: a group, or a private chat once its first message has made it."""

    name: str
    members: Sequence[Inbox]
    group_id: str = ""
    chat_id: str = ""


@dataclass(slots=True)
class Play:
    """One run of the demo."""

    server: Server
    dialogs: Sequence[Dialog]
    advance: Advance
    ledger: Ledger = field(default_factory=Ledger)
    cast: dict[str, list[Inbox]] = field(default_factory=dict)
    groups: list[Chat] = field(default_factory=list)
    pairs: dict[tuple[str, int], Chat] = field(default_factory=dict)
    sent: int = 0
    polls: int = 0
    send_seconds: float = 0.0
    poll_seconds: float = 0.0
    pages: int = 0
    pages_of: int = 0

    def run(self) -> None:
        """Play it all, and compare."""
        self._gather()
        over = threading.Event()
        with ThreadPoolExecutor(POLLERS) as pollers:
            polling = [
                pollers.submit(self._poll, self.inboxes[place::POLLERS], over)
                for place in range(POLLERS)
            ]
            try:
                self._speak()
            finally:
                over.set()
            for poller in polling:
                poller.result()
        for inbox in self.inboxes:
            inbox.compare()
        self._read_history()

    @property
    def inboxes(self) -> list[Inbox]:
        """Every user."""
        return [inbox for speakers in self.cast.values() for inbox in speakers]

    @property
    def chats(self) -> list[Chat]:
        """Every chat in which something has happened, everybody's the last."""
        return [chat for chat in (*self.pairs.values(), *self.groups) if chat.chat_id]

    # Who is there --------------------------------------------------------------------------------

    def _gather(self) -> None:
        """Register the speakers, poll once for each, and make the groups."""
        run = secrets.token_hex(4)
        languages = list(dict.fromkeys(dialog.language for dialog in self.dialogs))
        names = [(language, number) for language in languages for number in range(1, SPEAKERS + 1)]
        with ThreadPoolExecutor(SENDERS) as pool:
            made = pool.map(lambda name: self._register(name[0], name[1], run), names)
            for (language, _), inbox in zip(names, made, strict=True):
                self.cast.setdefault(language, []).append(inbox)
                self.advance("users", 1)
        for language, speakers in self.cast.items():
            self.groups.append(self._group(language.title(), speakers))
            for number, pair in enumerate(combinations(speakers, 2)):
                self.pairs[language, number] = Chat(f"{language} {number}", pair)
        self.groups.append(self._group(EVERYBODY, self.inboxes))

    def _register(self, language: str, number: int, run: str) -> Inbox:
        name = f"{language}-{number}-{run}"
        shown = f"{language.title()} {number}"
        answer = self.server.expect(
            (201, 409), "/register", {"username": name, "display_name": shown}
        )
        if answer.status == 409:  # noqa: PLR2004
            # Our own, made by a request whose answer was lost.
            name += "-again"
            answer = self.server.expect(
                (201,), "/register", {"username": name, "display_name": shown}
            )
        inbox = Inbox(answer.data["user_id"], answer.data["token"], self.ledger)
        inbox.take(self.server.expect((200,), "/get_messages", {}, inbox.token).data)
        return inbox

    def _group(self, name: str, members: Sequence[Inbox]) -> Chat:
        owner, *others = members
        body = {"name": name, "member_ids": [other.user_id for other in others]}
        group = self.server.expect((201,), "/create_group", body, owner.token).data["group_id"]
        chat = Chat(name, members, group, group)
        for member in members:
            member.chats.add(group)
        return chat

    # What is said --------------------------------------------------------------------------------

    def _speak(self) -> None:
        """Hold the dialogs, several at once."""
        started = time.monotonic()
        numbers: dict[str, int] = {}
        # A deterministic shuffle, so that languages mix and a run can be compared with another.
        order = list(self.dialogs)
        random.Random(1).shuffle(order)  # noqa: S311  # nosec B311 # the same shuffle each time is the point
        with ThreadPoolExecutor(SENDERS) as stage, ThreadPoolExecutor(SENDERS) as echo:
            held = []
            for dialog in order:
                number = numbers[dialog.language] = numbers.get(dialog.language, 0) + 1
                held.append(stage.submit(self._hold, dialog, self._place(dialog, number), echo))
            for future in held:
                future.result()
        self.send_seconds = time.monotonic() - started

    def _place(self, dialog: Dialog, number: int) -> Chat:
        if number % EVERYBODY_EACH == 0:
            return self.groups[-1]
        if number % GROUP_EACH == 0:
            return self.groups[list(self.cast).index(dialog.language)]
        pairs = SPEAKERS * (SPEAKERS - 1) // 2
        return self.pairs[dialog.language, (number - number // GROUP_EACH) % pairs]

    def _hold(self, dialog: Dialog, chat: Chat, echo: ThreadPoolExecutor) -> None:
        members = chat.members
        if chat.name == EVERYBODY:
            members = self.cast[dialog.language]
        for turn, text in enumerate(dialog.lines):
            speaker, listener = members[turn % 2], members[(turn + 1) % 2]
            client_id = secrets.token_urlsafe(12)
            twin: Future[None] | None = None
            luck = random.random()  # noqa: S311  # nosec B311 # who repeats a send, no secret
            if luck < REPEATED / 2:
                # The same request twice at once: whichever comes first, it is one message.
                twin = echo.submit(self._send, chat, speaker, listener, text, client_id)
            self._send(chat, speaker, listener, text, client_id)
            if REPEATED / 2 <= luck < REPEATED:
                self._send(chat, speaker, listener, text, client_id)
            if twin is not None:
                twin.result()
            self.advance("messages", 1)

    def _send(self, chat: Chat, speaker: Inbox, listener: Inbox, text: str, client_id: str) -> None:
        body = {"text": text, "client_id": client_id}
        if chat.group_id:
            path, body["group_id"] = "/send_message_to_group", chat.group_id
        else:
            path, body["recipient_id"] = "/send_message", listener.user_id
        message = self.server.expect((200, 201), path, body, speaker.token).data
        self.ledger.acknowledge(message, sender_id=speaker.user_id, text=text, client_id=client_id)
        if not chat.chat_id:
            chat.chat_id = message["chat_id"]
            for member in chat.members:
                member.chats.add(chat.chat_id)

    # What is received ----------------------------------------------------------------------------

    def _poll(self, inboxes: Sequence[Inbox], over: threading.Event) -> None:
        """Poll for each of these users in turn, until all has come or nothing comes any more."""
        started = last_news = time.monotonic()
        polls = 0
        while True:
            # Before the round: so the last round is one after everything was sent.
            last_round = over.is_set() and (
                all(inbox.complete() for inbox in inboxes)
                or time.monotonic() - last_news > QUIET_SECONDS
            )
            if not over.is_set():
                last_news = time.monotonic()
            for inbox in inboxes:
                more = True
                while more:
                    answer = self.server.expect(
                        (200,), "/get_messages", {"cursor": inbox.cursor}, inbox.token
                    )
                    polls += 1
                    if came := inbox.take(answer.data):
                        last_news = time.monotonic()
                        self.advance("deliveries", came)
                    more = answer.data["has_more"]
            if last_round:
                break
        self.polls += polls
        self.poll_seconds = max(self.poll_seconds, time.monotonic() - started)

    def _read_history(self) -> None:
        """Scroll through some chats from their end to their beginning, and compare."""
        chats = self.chats
        # Everybody's always: it is the one with many members.
        sample = [self.groups[-1], *random.sample(chats[:-1], min(len(chats), HISTORY_CHATS) - 1)]  # nosec B311 # a sample, no secret
        self.pages_of = len(sample)
        for chat in sample:
            reader = random.choice(chat.members)  # noqa: S311  # nosec B311 # a sample, no secret
            found: dict[int, Message] = {}
            path: str | None = f"/chats/{chat.chat_id}/messages/?limit={PAGE}"
            while path:
                page = self.server.call("GET", path, token=reader.token).data
                seqs = [message["seq"] for message in page["results"]]
                if seqs != sorted(seqs) or (found and seqs and max(seqs) >= min(found)):
                    self.ledger.fault("out of order", f"history of {chat.chat_id}: {seqs}")
                found.update({message["seq"]: message for message in page["results"]})
                path = page["next"] and "/" + page["next"].split("/", 3)[3]
                self.pages += 1
            self.ledger.compare(reader.user_id, chat.chat_id, found)
            self.advance("history", 1)
