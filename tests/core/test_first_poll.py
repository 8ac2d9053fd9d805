"""A first poll: which chats, how much of each, and how it goes on when `limit` cuts it."""

from datetime import timedelta

import pytest
from django.conf import settings

from groups import services as groups
from messaging.models import Chat, Message
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


def age(by: timedelta) -> None:
    """Date everything sent so far earlier."""
    for chat in Chat.objects.all():
        chat.last_at -= by
        chat.save(update_fields=["last_at"])
    for message in Message.objects.all():
        message.sent_at -= by
        message.save(update_fields=["sent_at"])


def test_it_shows_the_last_x_messages_of_each_active_chat(sweeper):
    ada, bob, eve = Person(), Person("bob"), Person("eve")
    for number in range(settings.HOT_MESSAGES_PER_CHAT + 5):
        bob.say(ada, f"bob {number}")
    eve.say(ada, "eve")
    answer = ada.poll(limit=500)
    assert [chat["name"] for chat in answer["chats"]] == ["eve", "bob"]
    from_bob = answer["chats"][1]
    assert (from_bob["start"], from_bob["end"]) == (1, 55)
    assert [message["seq"] for message in from_bob["messages"]] == list(range(6, 56))
    assert not answer["has_more"]
    assert ada.poll()["chats"] == []


def test_chats_that_are_not_active_are_left_out_while_others_are(sweeper):
    ada, bob, eve = Person(), Person(), Person("eve")
    bob.say(ada, "long ago")
    age(timedelta(hours=2))
    eve.say(ada, "now")
    assert [chat["name"] for chat in ada.poll()["chats"]] == ["eve"]


def test_with_none_active_it_shows_the_five_latest(sweeper):
    ada, *others = [Person(f"p{n}") for n in range(8)]
    for other in others:
        other.say(ada, "long ago")
    age(timedelta(hours=2))
    assert [chat["name"] for chat in ada.poll()["chats"]] == ["p7", "p6", "p5", "p4", "p3"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_cut_by_limit_it_goes_on_where_it_stopped(sweeper, limit):
    ada, *others = [Person() for _ in range(6)]
    for number in range(4):
        for other in others:
            other.say(ada, f"{number}")
    ada.poll(limit)
    others[0].say(ada, "meanwhile")
    ada.drain(limit)
    assert len(ada.received) == len(set(ada.received)) == 21
    for chat_id in {chat_id for chat_id, _, _ in ada.received}:
        seqs = [seq for chat, seq, _ in ada.received if chat == chat_id]
        assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_cut_by_limit_it_shows_both_stretches_of_who_came_back(sweeper, limit):
    ann, ben = Person("ann"), Person("ben")
    group_id = ann.group(ben)
    ann.tell(group_id, "first")
    names = {"actor_id": ann.id, "group_id": group_id, "user_id": ben.id}
    groups.remove_user_from_group(**names)
    ann.tell(group_id, "secret")
    ann.tell(group_id, "secret")
    groups.add_user_to_group(**names)
    ann.tell(group_id, "second")
    assert ben.drain(limit)
    assert [seq for _, seq, _ in ben.received] == [1, 2, 3, 6, 7]


def test_has_more_is_said_only_when_more_is_there(sweeper):
    ada, bob = Person(), Person()
    for number in range(3):
        bob.say(ada, str(number))
    assert not ada.poll(limit=3)["has_more"]


def test_seven_hundred_chats_active_at_once_come_whole_through_a_small_cursor(sweeper):
    ada = Person()
    others = [Person() for _ in range(700)]
    for other in others:
        other.say(ada, "one")
    ada.poll(limit=7)
    for other in others[::-1]:
        other.say(ada, "two")
    while ada.poll(limit=97)["has_more"]:
        pass
    assert len(ada.received) == len(set(ada.received)) == 1400
    for other in others[::7]:
        other.say(ada, "three")
    assert ada.drain(limit=7) == ["three"] * 100
