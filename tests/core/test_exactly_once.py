"""Whatever happens to the cache, a client that keeps its cursor gets each message once, in order.

A machine sends, opens groups, adds and removes members, polls with small and large limits, empties
the cache, cuts the senders off from it and lets the sweeper come by, in any order; what each user
received is compared with a model of what they could see.
"""

import os
from contextlib import suppress
from uuid import UUID

import pytest
from django.conf import settings
from django.db import connection
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from common.cache import CacheUnavailable, cache
from common.tests.servers import admin_client
from groups import services as groups
from messaging.sweeper import Sweeper
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = 4
who = st.integers(0, PEOPLE - 1)


class Messaging(RuleBasedStateMachine):
    """Users of one server, and the model of what each is to receive."""

    @initialize()
    def begin(self) -> None:
        self.cache_server = admin_client()
        self.cache_server.flushdb()
        self.people = [Person() for _ in range(PEOPLE)]
        self.sweeper = Sweeper()
        self.sweep()
        self.number = 0
        # chat -> the logs' texts by seq; person -> chat -> seqs they can see.
        self.visible: list[dict[str, set[int]]] = [{} for _ in range(PEOPLE)]
        self.groups: list[tuple[UUID, set[int], int]] = []
        self.ends: dict[str, int] = {}
        for person in self.people:
            person.poll()

    def _note(self, chat_id: str, seq: int, readers: set[int]) -> None:
        assert seq == self.ends.get(chat_id, 0) + 1
        self.ends[chat_id] = seq
        for reader in readers:
            self.visible[reader].setdefault(chat_id, set()).add(seq)

    @rule(sender=who, recipient=who)
    def write(self, sender: int, recipient: int) -> None:
        if sender == recipient:
            return
        self.number += 1
        sent = self.people[sender].say(self.people[recipient], f"m{self.number}")
        self._note(_chat_of(sent), sent.line.seq, {sender, recipient})

    @rule(owner=who, others=st.sets(who, max_size=3))
    def open_group(self, owner: int, others: set[int]) -> None:
        members = others | {owner}
        group_id = self.people[owner].group(*(self.people[other] for other in others))
        self.groups.append((group_id, members, owner))
        self._note(str(group_id), 1, members)

    @precondition(lambda self: self.groups)
    @rule(sender=who, choice=st.integers(0, 100), count=st.integers(1, 3))
    def write_to_group(self, sender: int, choice: int, count: int) -> None:
        group_id, members, _ = self.groups[choice % len(self.groups)]
        if sender not in members:
            return
        for _ in range(count):
            self.number += 1
            sent = self.people[sender].tell(group_id, f"m{self.number}")
            self._note(str(group_id), sent.line.seq, members)

    @precondition(lambda self: self.groups)
    @rule(user=who, choice=st.integers(0, 100))
    def add_or_remove(self, user: int, choice: int) -> None:
        group_id, members, owner = self.groups[choice % len(self.groups)]
        if user == owner:
            return
        actor_id, user_id = self.people[owner].id, self.people[user].id
        seq = self.ends[str(group_id)] + 1
        if user in members:
            groups.remove_user_from_group(actor_id=actor_id, group_id=group_id, user_id=user_id)
            self._note(str(group_id), seq, members)
            members.discard(user)
        else:
            groups.add_user_to_group(actor_id=actor_id, group_id=group_id, user_id=user_id)
            members.add(user)
            self._note(str(group_id), seq, members)

    @rule(user=who, limit=st.sampled_from([1, 2, 7, None]))
    def poll(self, user: int, limit: int | None) -> None:
        self.people[user].poll(limit)

    @rule()
    def empty_the_cache(self) -> None:
        self.cache_server.flushdb()

    @rule(sender=who, recipient=who)
    def write_while_the_cache_is_away(self, sender: int, recipient: int) -> None:
        cache.breaker.open()
        self.write(sender, recipient)
        cache.close()

    @precondition(lambda self: self.groups)
    @rule(user=who, choice=st.integers(0, 100))
    def change_members_while_the_cache_is_away(self, user: int, choice: int) -> None:
        cache.breaker.open()
        self.add_or_remove(user, choice)
        cache.close()

    @rule(user=who)
    def poll_while_the_cache_is_away(self, user: int) -> None:
        cache.breaker.open()
        self.people[user].poll()
        cache.close()

    @rule()
    def sweep(self) -> None:
        # On a busy machine the cache may really be too slow for once: that too is in the promise.
        with suppress(CacheUnavailable):
            self.sweeper.sweep()
        cache.close()

    @rule(choice=st.integers(0, 1000))
    def evict_a_key(self, choice: int) -> None:
        keys = sorted(self.cache_server.keys("*"))
        if keys:
            self.cache_server.delete(keys[choice % len(keys)])

    @invariant()
    def nothing_is_doubled_unseen_or_out_of_order(self) -> None:
        if not hasattr(self, "people"):
            return
        for place, person in enumerate(self.people):
            last: dict[str, int] = {}
            for chat_id, seq, _ in person.received:
                assert seq in self.visible[place].get(chat_id, set()), "not theirs to see"
                assert seq > last.get(chat_id, 0), "doubled or out of order"
                last[chat_id] = seq

    def teardown(self) -> None:
        if not hasattr(self, "people"):
            return
        cache.close()
        self.sweep()
        for place, person in enumerate(self.people):
            person.drain()
            got: dict[str, set[int]] = {}
            for chat_id, seq, _ in person.received:
                got.setdefault(chat_id, set()).add(seq)
            assert got == self.visible[place], "missing"


def _chat_of(sent) -> str:
    import orjson

    return str(orjson.loads(sent.line.body)["chat_id"])


@pytest.mark.parametrize(
    ("most_told", "lines_kept"),
    [
        pytest.param(100, 50, id="each member told"),
        pytest.param(1, 3, id="wide groups, short lists"),
    ],
)
def test_each_message_comes_once_and_in_order_whatever_happens_to_the_cache(
    monkeypatch, most_told, lines_kept
):
    monkeypatch.setattr(settings, "FANOUT_MAX_MEMBERS", most_told)
    monkeypatch.setattr(settings, "HOT_MESSAGES_PER_CHAT", lines_kept)
    # So long that no rule runs into the end of it by itself: rules decide when the cache is away.
    monkeypatch.setattr(settings, "CACHE_BREAKER_MS", 600_000)
    run_state_machine_as_test(
        Messaging,
        settings=hypothesis_settings(
            max_examples=int(os.environ.get("EXACTLY_ONCE_EXAMPLES", "12")),
            stateful_step_count=30,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    connection.close()
