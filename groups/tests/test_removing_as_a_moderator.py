"""A moderator ends a membership: the members see it in the log, done by the service."""

import uuid

import pytest

from accounts.tests.factories import fault
from audit.models import Entry
from common.errors import NotFound
from groups import moderating
from groups.moderating import remove_member
from messaging.models import Chat, Membership
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(transactional_db):
    return [Person(name) for name in ("ann", "ben", "cid")]


@pytest.fixture
def group(people):
    ann, ben, cid = people
    return ann.group(ben, cid)


def test_their_last_message_says_so_and_writing_ends(people, group):
    ann, ben, _ = people
    ann.drain()
    ben.drain()
    assert remove_member(group_id=group, user_id=ben.id, reason="spam")
    for person in (ann, ben):
        (chat,) = person.poll()["chats"]
        (message,) = chat["messages"]
        assert (message["kind"], message["text"]) == ("system", "A moderator removed ben.")
        assert message["sender_id"] == str(uuid.UUID(int=0))
    answer = ben.post("/send_message_to_group", group_id=str(group), text="x")
    assert fault(answer)[:2] == (404, "not_found")
    assert Chat.objects.get(pk=group).member_count == 2
    ann.tell(group, "later")
    assert "later" not in ben.drain()


def test_it_is_recorded_with_the_role_they_had(people, group):
    remove_member(group_id=group, user_id=people[1].id, reason="spam")
    entry = Entry.objects.get()
    assert (entry.action, entry.target_name, entry.reason) == ("remove_member", "ben", "spam")
    assert entry.before == {"group": str(group), "group_name": "group", "role": "member"}


def test_an_owner_s_group_goes_to_the_longest_standing(people, group):
    ann, ben, _ = people
    remove_member(group_id=group, user_id=ann.id, reason="spam")
    owner = Membership.objects.get(chat=group, role="owner", last_seq=None)
    assert owner.user_id == ben.id
    assert ben.drain()[-2:] == ["A moderator removed ann.", "ben is the owner now."]


def test_the_last_member_s_group_is_left_to_nobody(people, group):
    for person in people:
        remove_member(group_id=group, user_id=person.id, reason="")
    assert Chat.objects.get(pk=group).member_count == 0


def test_a_frozen_group_too(people, group):
    moderating.freeze_group(group_id=group, reason="")
    assert remove_member(group_id=group, user_id=people[1].id, reason="")


def test_twice_takes_one_seq_and_one_entry(people, group):
    remove_member(group_id=group, user_id=people[1].id, reason="")
    last = Chat.objects.get(pk=group).last_seq
    assert not remove_member(group_id=group, user_id=people[1].id, reason="")
    assert Chat.objects.get(pk=group).last_seq == last
    assert Entry.objects.count() == 1


def test_who_never_was_a_member_or_no_group_is_not_found(people, group):
    stranger = Person("dan")
    private = Chat.objects.get(pk=people[0].say(people[1], "hi").line.body[12:48].decode())
    for group_id, user_id in (
        (group, stranger.id),
        (uuid.uuid4(), people[1].id),
        (private.pk, people[1].id),
    ):
        with pytest.raises(NotFound):
            remove_member(group_id=group_id, user_id=user_id, reason="")
    assert Entry.objects.count() == 0
