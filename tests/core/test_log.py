"""The log: seqs without gaps in the order of the commits, whoever writes at once."""

import threading
import time
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import OperationalError, connection, transaction

from accounts.services import block_user
from chats.services import send_message
from common.errors import NotFound, Refusal
from common.tests.servers import at_once
from groups import services as groups
from messaging.models import Chat, LogState, Membership, Message
from messaging.services import Blocked, ClientIdTaken
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


def log_of(chat_id) -> list[Message]:
    return list(Message.objects.filter(chat=chat_id).order_by("seq"))


def assert_gapless(messages: list[Message]) -> None:
    assert [message.seq for message in messages] == list(range(1, len(messages) + 1))
    times = [message.sent_at for message in messages]
    assert all(a < b for a, b in pairwise(times))


def test_writers_at_once_leave_no_gap_and_no_two_equal_times():
    writers = [Person() for _ in range(12)]
    group_id = writers[0].group(*writers[1:])
    at_once(12, lambda n: [writers[n].tell(group_id, f"{n}.{i}") for i in range(10)])
    messages = log_of(group_id)
    assert_gapless(messages)
    for n in range(12):
        mine = [m.text for m in messages if m.sender_id == writers[n].id and m.kind == "text"]
        assert mine == [f"{n}.{i}" for i in range(10)]


def test_twenty_racing_one_client_id_send_one_message():
    ada, bob = Person(), Person()
    sent = at_once(20, lambda _: ada.say(bob, "once", "the id"))
    assert sum(one.created for one in sent) == 1
    assert len({one.line for one in sent}) == 1
    assert Message.objects.count() == 1


def test_two_senders_may_use_the_same_client_id():
    ada, bob = Person(), Person()
    assert ada.say(bob, "hers", "id").created
    assert bob.say(ada, "his", "id").created


def test_a_client_id_with_another_text_is_refused_and_takes_no_seq():
    ada, bob = Person(), Person()
    ada.say(bob, "one", "id")
    with pytest.raises(ClientIdTaken):
        ada.say(bob, "two", "id")
    assert ada.say(bob, "three").line.seq == 2


def test_strangers_who_write_first_at_one_moment_share_a_chat():
    for _ in range(5):
        pair = [Person(), Person()]
        sent = at_once(2, lambda n: pair[n].say(pair[1 - n], "hello"))  # noqa: B023
        assert sorted(one.line.seq for one in sent) == [1, 2]
    assert Chat.objects.count() == 5


def test_a_send_that_waited_for_a_removal_is_refused():
    ada, bob = Person(), Person()
    group_id = ada.group(bob)
    outcome: list[object] = []

    def write() -> None:
        try:
            outcome.append(bob.tell(group_id, "too late"))
        except NotFound as refusal:
            outcome.append(refusal)
        finally:
            connection.close()

    with transaction.atomic():
        groups.remove_user_from_group(actor_id=ada.id, group_id=group_id, user_id=bob.id)
        writing = threading.Thread(target=write)
        writing.start()
        _wait_until_somebody_waits_for_a_lock()
    writing.join()
    assert isinstance(outcome[0], NotFound)
    assert [m.text for m in log_of(group_id)][-1].endswith("removed " + bob.user.username + ".")


def test_a_send_that_waited_for_a_block_is_refused():
    ada, bob = Person(), Person()
    chat_id = ada.say(bob, "hello")
    outcome: list[object] = []

    def write() -> None:
        try:
            outcome.append(ada.say(bob, "again"))
        except Blocked as refusal:
            outcome.append(refusal)
        finally:
            connection.close()

    with transaction.atomic():
        Chat.objects.select_for_update(no_key=True).get()
        block_user(blocker_id=bob.id, blocked_id=ada.id)
        writing = threading.Thread(target=write)
        writing.start()
        _wait_until_somebody_waits_for_a_lock()
    writing.join()
    assert isinstance(outcome[0], Blocked)
    assert chat_id.line.seq == Message.objects.count() == 1


def test_a_message_is_dated_after_the_wait_for_its_chat():
    ada, bob = Person(), Person()
    ada.say(bob, "first")

    def write() -> None:
        bob.say(ada, "waited")
        connection.close()

    writing = threading.Thread(target=write)
    with transaction.atomic():
        chat = Chat.objects.select_for_update(no_key=True).get()
        writing.start()
        _wait_until_somebody_waits_for_a_lock()
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            released = cursor.fetchone()[0]
    writing.join()
    assert log_of(chat.pk)[1].sent_at > released


def test_a_clock_set_back_dates_nothing_before_what_was_seen():
    ada, bob, eve = Person(), Person(), Person()
    ada.say(bob, "first")
    ahead = LogState.objects.get().floor + timedelta(hours=1)
    LogState.objects.update(floor=ahead)
    eve.say(bob, "from a clock that was set back an hour")
    assert Message.objects.get(sender=eve.id).sent_at >= ahead


def test_a_writer_that_waits_too_long_gives_up_and_writes_nothing():
    ada, bob = Person(), Person()
    ada.say(bob, "first")
    failed = threading.Event()

    def write() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '50ms'")
            ada.say(bob, "never")
        except OperationalError:
            failed.set()
        finally:
            connection.close()

    with transaction.atomic():
        Chat.objects.select_for_update(no_key=True).get()
        writing = threading.Thread(target=write)
        writing.start()
        writing.join()
    assert failed.is_set()
    assert Message.objects.count() == 1


def test_members_who_remove_each_other_at_once_leave_one_removed():
    for _ in range(5):
        owner, ada, bob = Person(), Person(), Person()
        group_id = owner.group(ada, bob)
        for admin in (ada, bob):
            groups.set_group_role(
                actor_id=owner.id, group_id=group_id, user_id=admin.id, role="admin"
            )
        names = [(owner.id, ada.id), (ada.id, ada.id)]
        at_once(2, lambda n: _try_remove(group_id, *names[n]))  # noqa: B023
        assert Membership.objects.filter(chat=group_id, user=ada.id, last_seq=None).count() == 0
        assert_gapless(log_of(group_id))
        chat = Chat.objects.get(pk=group_id)
        assert chat.member_count == Membership.objects.filter(chat=chat, last_seq=None).count() == 2


def test_changes_of_a_group_from_all_sides_leave_one_owner_and_a_true_count():
    people = [Person() for _ in range(6)]
    group_id = people[0].group(*people[1:4])

    def act(n: int) -> None:
        for person in people:
            _try_remove(group_id, people[n].id, person.id)
            with suppress(Refusal):
                groups.add_user_to_group(
                    actor_id=people[n].id, group_id=group_id, user_id=person.id
                )

    at_once(6, act)
    chat = Chat.objects.get(pk=group_id)
    members = Membership.objects.filter(chat=chat, last_seq=None)
    assert chat.member_count == members.count()
    assert members.filter(role="owner").count() == (1 if members else 0)
    assert_gapless(log_of(group_id))


def test_nobody_writes_to_themself():
    ada = Person()
    with pytest.raises(Exception, match="yourself"):
        send_message(sender_id=ada.id, recipient_id=ada.id, text="me")


def _try_remove(group_id, actor_id, user_id) -> None:
    # Any refusal will do; a deadlock is none and comes through.
    with suppress(Refusal):
        groups.remove_user_from_group(actor_id=actor_id, group_id=group_id, user_id=user_id)


def _wait_until_somebody_waits_for_a_lock() -> None:
    """Return once another session of this database waits for a lock."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            # Not pg_stat_activity, which stands still within a transaction.
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody waits")
