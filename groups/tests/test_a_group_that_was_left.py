"""Who left a group, or was removed from it, sees it as it was then."""

import pytest
from django.utils import timezone

from messaging.models import Membership
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def group():
    """A group of Ada's, with Bob, Cem and Dee in it, who are returned with it."""
    people = [Person(name) for name in ("ada", "bob", "cem", "dee")]
    return people, people[0].group(*people[1:])


def seen(person, group_id):
    answer = person.client.get(f"/groups/{group_id}/")
    assert answer.status_code == 200
    return answer.json()["owner_id"], answer.json()["member_count"]


def change(person, path, group_id, other, **fields):
    body = {"group_id": str(group_id), "user_id": str(other.id), **fields}
    assert person.post(path, **body).status_code == 200


def test_a_removed_member_sees_owner_and_number_as_they_were(group):
    (ada, bob, cem, dee), group_id = group
    change(ada, "/remove_user_from_group", group_id, bob)
    assert seen(bob, group_id) == (str(ada.id), 3)
    change(ada, "/set_group_role", group_id, cem, role="owner")
    change(cem, "/remove_user_from_group", group_id, ada)
    eve = Person("eve")
    cem.post("/add_user_to_group", group_id=str(group_id), user_id=str(eve.id))
    change(dee, "/remove_user_from_group", group_id, dee)
    eve2 = Person("eve2")
    cem.post("/add_user_to_group", group_id=str(group_id), user_id=str(eve2.id))
    assert seen(bob, group_id) == (str(ada.id), 3)
    assert seen(ada, group_id) == (str(cem.id), 2)
    assert seen(dee, group_id) == (str(cem.id), 2)
    assert seen(cem, group_id) == (str(cem.id), 3)
    # Who is in it now, nobody who left can list.
    assert bob.client.get(f"/groups/{group_id}/members/").status_code == 404


def test_an_owner_who_leaves_sees_themself_as_its_owner(group):
    (ada, bob, *_), group_id = group
    change(ada, "/remove_user_from_group", group_id, ada)
    assert seen(ada, group_id) == (str(ada.id), 3)
    assert seen(bob, group_id) == (str(bob.id), 3)


def test_who_comes_back_sees_it_as_it_is_and_then_as_it_was_at_the_last_end(group):
    (ada, bob, cem, dee), group_id = group
    change(ada, "/remove_user_from_group", group_id, bob)
    change(ada, "/remove_user_from_group", group_id, cem)
    ada.post("/add_user_to_group", group_id=str(group_id), user_id=str(bob.id))
    assert seen(bob, group_id) == (str(ada.id), 3)
    change(ada, "/set_group_role", group_id, dee, role="owner")
    assert seen(bob, group_id) == (str(dee.id), 3)
    change(bob, "/remove_user_from_group", group_id, bob)
    change(dee, "/set_group_role", group_id, ada, role="owner")
    assert seen(bob, group_id) == (str(dee.id), 2)
    assert seen(cem, group_id) == (str(ada.id), 2)


def test_a_stretch_that_ended_before_owners_were_noted_names_none(group):
    (ada, bob, *_), group_id = group
    change(ada, "/remove_user_from_group", group_id, bob)
    Membership.objects.filter(user=bob.id).update(left_owner_id=None, left_at=timezone.now())
    assert seen(bob, group_id) == (None, 3)


def test_who_was_never_in_it_sees_nothing(group):
    _, group_id = group
    assert Person("eve").client.get(f"/groups/{group_id}/").status_code == 404
