"""What the server was asked and what it said, and whether the two agree with the promise.

The recorder takes down every acknowledged send and every delivery. At the end the whole log of
each chat, read by one who was in it from first to last, is what everything is held against.
"""

from __future__ import annotations

import collections
import itertools
import threading
from dataclasses import dataclass, field

from tests.http import JSON


@dataclass(frozen=True)
class Change:
    """An acknowledged change of membership: it took one seq, of kind system."""

    user_id: str
    joins: bool


@dataclass
class Recorder:
    """Everything that was acknowledged or delivered; safe to share between threads."""

    sent: dict[tuple[str, str], JSON] = field(default_factory=dict)
    """(sender, client_id) -> the message as the sender was answered."""
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    """(sender, client_id) -> what was sent, acknowledged or not."""
    delivered: dict[str, dict[str, list[JSON]]] = field(
        default_factory=lambda: collections.defaultdict(lambda: collections.defaultdict(list))
    )
    """user -> chat -> messages in the order of their delivery."""
    changes: dict[str, list[Change]] = field(default_factory=lambda: collections.defaultdict(list))
    """group -> its changes of membership in order; made by one at a time."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sending(self, sender: str, client_id: str, text: str) -> None:
        """Note what is about to be sent."""
        with self.lock:
            self.texts[sender, client_id] = text

    def acknowledged(self, message: JSON) -> list[str]:
        """Note an answer to a send; return what is wrong with it."""
        key = (message["sender_id"], message["client_id"])
        with self.lock:
            first = self.sent.setdefault(key, message)
            sent = self.texts[key]
        problems = [] if first == message else [f"two answers to one client_id: {first} {message}"]
        if message["text"] != sent:
            problems.append(f"another text: {sent!r} became {message}")
        return problems

    def received(self, user_id: str, body: JSON) -> None:
        """Note what a poll brought."""
        with self.lock:
            for chat in body["chats"]:
                self.delivered[user_id][chat["chat_id"]] += chat["messages"]

    def changed(self, group_id: str, user_id: str, *, joins: bool) -> None:
        """Note a change of membership."""
        with self.lock:
            self.changes[group_id].append(Change(user_id, joins))


def seen_by(user_id: str, message: JSON) -> JSON:
    """Return a message as a user is to see it."""
    return message if message["sender_id"] == user_id else {**message, "client_id": None}


def stretches(
    log: list[JSON], first_changes: int, changes: list[Change], members: set[str], user_id: str
) -> list[tuple[int, int]]:
    """Return the seqs that a user sees: from each joining to the removal after it.

    `members` were there from seq 1; of the system messages the first ones tell of the beginning,
    and the changes in order are those after them.
    """
    systems = [message["seq"] for message in log if message["kind"] == "system"][first_changes:]
    assert len(systems) == len(changes), (len(systems), len(changes))
    found: list[tuple[int, int]] = []
    start = 1 if user_id in members else None
    for seq, change in zip(systems, changes, strict=True):
        if change.user_id != user_id:
            continue
        if change.joins:
            assert start is None
            start = seq
        else:
            assert start is not None
            found.append((start, seq))
            start = None
    if start is not None:
        found.append((start, log[-1]["seq"]))
    return found


def problems_of_a_log(log: list[JSON], recorder: Recorder) -> list[str]:
    """Say what is wrong with a chat's whole log: gaps, times, texts, lost or doubled sends."""
    problems = []
    seqs = [message["seq"] for message in log]
    if seqs != list(range(1, len(log) + 1)):
        problems.append(f"seqs have gaps or are out of order: {seqs}")
    times = [message["sent_at"] for message in log]
    if any(later <= earlier for earlier, later in itertools.pairwise(times)):
        problems.append("times do not grow")
    chat_id = log[0]["chat_id"]
    by_seq = {message["seq"]: message for message in log}
    for message in recorder.sent.values():
        if message["chat_id"] != chat_id:
            continue
        kept = by_seq.get(message["seq"])
        if kept is None or {**kept, "client_id": message["client_id"]} != message:
            problems.append(f"acknowledged and lost or altered: {message} is {kept}")
    return problems


def problems_of_a_delivery(
    user_id: str, log: list[JSON], visible: list[tuple[int, int]], got: list[JSON]
) -> list[str]:
    """Say what is wrong with what a user was given of a chat."""
    expected = [message for message in log if any(a <= message["seq"] <= b for a, b in visible)]
    seqs, wanted = [message["seq"] for message in got], [message["seq"] for message in expected]
    problems = []
    if doubled := sorted(seq for seq, times in collections.Counter(seqs).items() if times > 1):
        problems.append(f"delivered twice: {doubled}")
    if missing := sorted(set(wanted) - set(seqs)):
        problems.append(f"never delivered: {missing}")
    if secret := sorted(set(seqs) - set(wanted)):
        problems.append(f"delivered and not to be seen: {secret}")
    if seqs != sorted(seqs):
        problems.append(f"out of order: {seqs}")
    if not problems:
        for one, other in zip(got, expected, strict=True):
            ours = {**other, "client_id": one["client_id"]}
            if one != ours or (one["client_id"] and one["sender_id"] != user_id):
                problems.append(f"altered: {one} instead of {other}")
    return problems
