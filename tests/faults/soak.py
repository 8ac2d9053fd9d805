"""Many write and many poll while parts fail; afterwards everything is held against the log."""

from __future__ import annotations

import itertools
import os
import random
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import httpx

from tests.faults.stage import Stage
from tests.http import ABSENT, JSON, PATIENCE_SECONDS, Absent, Answer, Person, check_inbox
from tests.model import Recorder, problems_of_a_delivery, problems_of_a_log, stretches

TEXTS = (
    "hello",
    "ü \U0001f98a",
    "  white\n\tspace  ",
    "e\u0301 \u200f\u2067x\u2069",
    "\u2028",
    '\\u0000 {"a": 1}',
)
LONGER = float(os.environ.get("SOAK_REPORT_SECONDS", "10"))


@dataclass
class Soak:
    """Twelve people in a group and in private chats, and what happens to them."""

    stage: Stage
    seconds: float
    seed: int = 1
    recorder: Recorder = field(default_factory=Recorder)
    problems: list[str] = field(default_factory=list)
    unanswered: int = 0
    unavailable: int = 0
    polls: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    quiet: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.people = self.stage.server.crowd(12)
        self.owner, self.guests = self.people[0], self.people[9:]
        self.members = {person.user_id for person in self.people[:9]}
        self.group: JSON = self.owner.group(*self.people[1:9], name="soak")
        self.begun = sum(m["kind"] == "system" for m in self.owner.history(self.group["group_id"]))
        self.positions: dict[str, str | Absent] = {}
        self._pairs: dict[str, tuple[str, str]] = {}
        self._client_ids = itertools.count(1)

    # What people do ------------------------------------------------------------------------------

    def asked(self, request: Callable[[], Answer]) -> Answer | None:
        """Ask, and look over the answer as a client would; None when there was none."""
        began = time.monotonic()
        try:
            answer = request()
        except httpx.TransportError as error:
            self.took(began, repr(error))
            self.unanswered += 1
            return None
        self.took(began, repr(answer.status))
        if answer.status == 503:
            self.unavailable += 1
            if not answer.headers.get("retry-after", "").isdigit():
                self.problems.append(f"no Retry-After: {answer}")
            self.look_over(answer)
            return None
        if answer.status >= 500:
            self.problems.append(f"{answer}")
            return None
        if answer.status >= 400:
            self.look_over(answer)
        return answer

    def took(self, began: float, what: str) -> None:
        took = time.monotonic() - began
        if took > PATIENCE_SECONDS:
            self.problems.append(f"a request took {took:.1f} s: {what}")

    def look_over(self, answer: Answer) -> None:
        try:
            answer.problem()
        except AssertionError:
            self.problems.append(f"an error without its shape: {answer}")

    def until_answered(self, request: Callable[[], Answer]) -> Answer:
        """Ask again until there is an answer, as a client with a client_id would."""
        deadline = time.monotonic() + 60
        while True:
            answer = self.asked(request)
            if answer is not None:
                return answer
            if time.monotonic() > deadline:
                raise AssertionError("no answer for a minute")
            time.sleep(0.05)

    def write(self, person: Person, chance: random.Random) -> None:
        """Send on and on, here and there."""
        others = [other for other in self.people if other is not person]
        while not self.over.is_set():
            client_id = f"c{next(self._client_ids)}"
            text = f"{chance.choice(TEXTS)} {client_id}"
            self.recorder.sending(person.user_id, client_id, text)
            if chance.random() < 0.5:
                to = chance.choice(others)
                answer = self.until_answered(partial(person.send, to, text, client_id))
            else:
                to = None
                answer = self.until_answered(
                    partial(person.send_group, self.group, text, client_id)
                )
            if answer.status not in {200, 201}:
                self.problems.append(f"a send was refused: {answer}")
                continue
            self.problems += self.recorder.acknowledged(answer.body)
            if to is not None:
                self._pairs[answer.body["chat_id"]] = (person.user_id, to.user_id)
            time.sleep(chance.random() * 0.02)

    def follow(self, person: Person, chance: random.Random) -> None:
        """Poll on and on with the last cursor; when all is over, until nothing more comes."""
        silent = 0
        while True:
            ending = self.quiet.is_set()
            cursor = self.positions.get(person.user_id, ABSENT)
            limit = chance.choice((1, 3, 20, 100, 500))
            answer = self.asked(partial(person.poll, cursor, limit))
            if answer is None:
                time.sleep(0.05)
                continue
            if answer.status != 200:
                self.problems.append(f"a poll was refused: {answer}")
                return
            body = answer.body
            check_inbox(body, limit)
            if body["reset"]:
                self.problems.append("a reset without a restore")
            self.recorder.received(person.user_id, body)
            self.positions[person.user_id] = body["cursor"]
            self.polls += 1
            empty = not body["has_more"] and not body["chats"]
            silent = silent + 1 if empty else 0
            if ending and silent >= 3:
                return
            time.sleep(chance.random() * 0.03 if empty else 0)

    def come_and_go(self, chance: random.Random) -> None:
        """Add and remove guests, one change after the other, so that their order is known."""
        inside: set[str] = set()
        gid = self.group["group_id"]
        while not self.over.is_set():
            guest = chance.choice(self.guests)
            joins = guest.user_id not in inside
            if joins:
                answer = self.until_answered(partial(self.owner.add, gid, guest))
                fine = answer.status in {200, 201}
                inside.add(guest.user_id)
            else:
                who = chance.choice((self.owner, guest))
                answer = self.until_answered(partial(who.remove, gid, guest))
                # Not there any more: an attempt without an answer has removed them.
                fine = answer.status in {200, 404}
                inside.discard(guest.user_id)
            if not fine:
                self.problems.append(f"a change of membership was refused: {answer}")
            self.recorder.changed(gid, guest.user_id, joins=joins)
            time.sleep(chance.random() * 0.3)

    # The whole -----------------------------------------------------------------------------------

    def run(self, fault: Callable[[random.Random], None]) -> None:
        """Let all of it happen, with one fault after the other; then check everything."""
        chance = random.Random(self.seed)
        jobs = [
            *(partial(self.write, p, random.Random(p.user_id)) for p in self.people[:6]),
            partial(self.come_and_go, random.Random(self.seed + 1)),
        ]
        followers = [partial(self.follow, p, random.Random(p.user_id + "f")) for p in self.people]
        writing = [threading.Thread(target=self.guarded, args=[job]) for job in jobs]
        following = [threading.Thread(target=self.guarded, args=[job]) for job in followers]
        for thread in (*following, *writing):
            thread.start()
        end = time.monotonic() + self.seconds
        try:
            while time.monotonic() < end and not self.problems:
                fault(chance)
                if end - time.monotonic() > LONGER:
                    sys.stderr.write(f"soak: {end - time.monotonic():.0f} s left, {self}\n")
        finally:
            self.over.set()
            self.stage.mend()
            for thread in writing:
                thread.join(90)
            # What could not be told is told by now; then nothing that is missing will ever come.
            time.sleep(0.5)
            self.stage.wait_for_cache()
            self.quiet.set()
            for thread in following:
                thread.join(90)
        assert not any(thread.is_alive() for thread in (*writing, *following)), "somebody hangs"
        self.check()

    def guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception:  # noqa: BLE001 - whatever it is, it is a finding
            self.problems.append(traceback.format_exc())

    def check(self) -> None:
        """Hold everything that was given against the logs."""
        problems = list(self.problems)
        by_id = {person.user_id: person for person in self.people}
        gid = self.group["group_id"]
        log = self.owner.history(gid, 500)
        problems += problems_of_a_log(log, self.recorder)
        for person in self.people:
            visible = stretches(
                log, self.begun, self.recorder.changes[gid], self.members, person.user_id
            )
            got = self.recorder.delivered[person.user_id][gid]
            problems += [
                f"{person.username}, group, sees {visible} of {len(log)}: {p}"
                for p in problems_of_a_delivery(person.user_id, log, visible, got)
            ]
        for chat_id, pair in self._pairs.items():
            log = by_id[pair[0]].history(chat_id, 500)
            problems += problems_of_a_log(log, self.recorder)
            for user_id in pair:
                got = self.recorder.delivered[user_id][chat_id]
                problems += [
                    f"{by_id[user_id].username}, {chat_id}: {p}"
                    for p in problems_of_a_delivery(user_id, log, [(1, len(log))], got)
                ]
        for user_id, chats in self.recorder.delivered.items():
            strange = set(chats) - {gid} - {c for c, pair in self._pairs.items() if user_id in pair}
            if strange:
                problems.append(f"{user_id} was given chats of others: {strange}")
        assert not problems, "\n".join(problems[:20])
        assert self.recorder.sent

    def __str__(self) -> str:
        return (
            f"{len(self.recorder.sent)} sent, {self.polls} polls, {self.unanswered} unanswered, "
            f"{self.unavailable} unavailable"
        )
