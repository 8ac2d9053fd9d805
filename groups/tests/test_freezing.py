"""A frozen group can be read and left, and nothing else, until it is unfrozen."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.tests.factories import fault
from audit.models import Entry
from groups import moderating
from messaging.models import Chat
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(transactional_db):
    return [Person(name) for name in ("ann", "ben", "cid", "dan")]


@pytest.fixture
def group(people):
    ann, ben, cid, _ = people
    group = ann.group(ben, cid)
    ann.post("/set_group_role", group_id=str(group), user_id=str(ben.id), role="admin")
    return group


def freeze(group):
    return moderating.freeze_group(group_id=group, reason="a raid")


def write(person, group, client_id=None):
    body = {"group_id": str(group), "text": "hello"} | (
        {"client_id": client_id} if client_id else {}
    )
    return person.post("/send_message_to_group", **body)


def test_sends_are_refused_and_nothing_is_written(people, group):
    last = Chat.objects.get(pk=group).last_seq
    assert freeze(group)
    for person in people[:3]:
        assert fault(write(person, group)) == (403, "frozen", "group_id")
    assert Chat.objects.get(pk=group).last_seq == last + 1


def test_members_can_not_be_added_removed_or_given_roles(people, group):
    ann, ben, cid, dan = people
    freeze(group)
    for person, verb, other, more in (
        (ann, "/add_user_to_group", dan, {}),
        (ben, "/remove_user_from_group", cid, {}),
        (ann, "/remove_user_from_group", ben, {}),
        (ann, "/set_group_role", cid, {"role": "admin"}),
        (ann, "/set_group_role", ben, {"role": "owner"}),
    ):
        answer = person.post(verb, group_id=str(group), user_id=str(other.id), **more)
        assert fault(answer) == (403, "frozen", "group_id"), verb


def test_what_stands_already_is_still_answered(people, group):
    ann, ben, _, _ = people
    sent = write(ann, group, "one").json()
    freeze(group)
    again = write(ann, group, "one")
    assert (again.status_code, again.json()) == (200, sent)
    ids = {"group_id": str(group), "user_id": str(ben.id)}
    assert ann.post("/add_user_to_group", **ids).status_code == 200
    assert ann.post("/set_group_role", **ids, role="admin").status_code == 200


def test_roles_are_asked_first_and_strangers_learn_nothing(people, group):
    _, _, cid, dan = people
    freeze(group)
    assert fault(write(dan, group)) == (404, "not_found", "group_id")
    ids = {"group_id": str(group), "user_id": str(dan.id)}
    assert fault(cid.post("/add_user_to_group", **ids))[:2] == (403, "role_too_low")


def test_reading_and_leaving_go_on_the_owner_s_too(people, group):
    ann, ben, _, _ = people
    write(ben, group)
    freeze(group)
    assert ann.client.get(f"/chats/{group}/messages/").status_code == 200
    assert ann.drain()[-1] == "A moderator froze the group."
    left = ann.post("/remove_user_from_group", group_id=str(group), user_id=str(ann.id))
    assert left.status_code == 200
    assert ben.client.get(f"/groups/{group}/").json()["owner_id"] == str(ben.id)


def test_private_chats_and_other_groups_go_on(people, group):
    ann, ben, _, _ = people
    other = ann.group(ben)
    freeze(group)
    assert write(ann, other).status_code == 201
    body = {"recipient_id": str(ben.id), "text": "hi"}
    assert ann.post("/send_message", **body).status_code == 201


def test_members_learn_of_it_by_a_message_of_the_service(people, group):
    ann = people[0]
    ann.drain()
    freeze(group)
    (chat,) = ann.poll()["chats"]
    (message,) = chat["messages"]
    assert message["kind"] == "system"
    assert message["sender_id"] == "00000000-0000-0000-0000-000000000000"
    assert message["text"] == "A moderator froze the group."
    page = ann.client.get(f"/chats/{group}/messages/").json()["results"]
    assert page[-1] == message


def test_unfreezing_lets_it_go_on(people, group):
    freeze(group)
    assert moderating.unfreeze_group(group_id=group, reason="over")
    assert write(people[0], group).status_code == 201
    chat = Chat.objects.get(pk=group)
    assert (chat.frozen_at, chat.frozen_reason) == (None, "")


def test_twice_is_once(group):
    assert freeze(group)
    assert not freeze(group)
    assert moderating.unfreeze_group(group_id=group, reason="")
    assert not moderating.unfreeze_group(group_id=group, reason="")
    assert list(Entry.objects.order_by("pk").values_list("action", "target_id", "reason")) == [
        ("freeze", str(group), "a raid"),
        ("unfreeze", str(group), ""),
    ]


def test_a_send_costs_no_more_statements(people, group):
    def statements():
        with CaptureQueriesContext(connection) as captured:
            write(people[0], group)
        return [query["sql"] for query in captured if "messaging_" in query["sql"]]

    statements()
    assert len(statements()) == 1
    freeze(group)
    assert len(statements()) == 1
