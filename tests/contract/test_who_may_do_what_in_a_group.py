"""Owner, admin, member, former member and stranger; and who owns a group after its owner."""

import time

import pytest

from tests.contract.test_groups import members, systems
from tests.http import JSON, Person, Server, at_once, check_membership

ROLES = ("owner", "admin", "member", "former", "stranger")
TARGETS = ("owner", "other admin", "other member", "self")


class Cast:
    """A group with somebody in every role."""

    def __init__(self, server: Server) -> None:
        names = (
            "owner",
            "admin",
            "other_admin",
            "member",
            "other_member",
            "former",
            "stranger",
            "new",
        )
        self.people = dict(
            zip((n.replace("_", " ") for n in names), server.people(*names), strict=True)
        )
        self.owner = self.people["owner"]
        inside = [
            self.people[n] for n in ("admin", "other admin", "member", "other member", "former")
        ]
        self.group: JSON = self.owner.group(*inside)
        for name in ("admin", "other admin"):
            self.owner.set_role(self.group, self.people[name], "admin").ok(200)
        self.owner.remove(self.group, self.people["former"]).ok(200)

    def target(self, actor: str, name: str) -> Person:
        return self.people[actor if name == "self" else name]


@pytest.fixture
def cast(server: Server) -> Cast:
    return Cast(server)


@pytest.mark.parametrize(
    ("role", "status"),
    [("owner", 201), ("admin", 201), ("member", 403), ("former", 404), ("stranger", 404)],
)
def test_owner_and_admins_add(cast: Cast, role: str, status: int) -> None:
    answer = cast.people[role].add(cast.group, cast.people["new"])
    if status == 201:
        check_membership(answer.ok(201))
    else:
        answer.refused(status)
        assert cast.people["new"].user_id not in members(cast.owner, cast.group)


# Who may remove whom. "Owner and admins remove others, anyone removes themself; an admin removes
# members, not the owner or another admin (403)."
REMOVALS = {
    "owner": {"owner": 200, "other admin": 200, "other member": 200, "self": 200},
    "admin": {"owner": 403, "other admin": 403, "other member": 200, "self": 200},
    "member": {"owner": 403, "other admin": 403, "other member": 403, "self": 200},
    "former": {"owner": 404, "other admin": 404, "other member": 404, "self": 404},
    "stranger": {"owner": 404, "other admin": 404, "other member": 404, "self": 404},
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("target", TARGETS)
def test_who_removes_whom(cast: Cast, role: str, target: str) -> None:
    before = members(cast.owner, cast.group)
    length = len(cast.owner.history(cast.group["group_id"]))
    who = cast.target(role, target)
    answer = cast.people[role].remove(cast.group, who)
    status = REMOVALS[role][target]
    if status == 200:
        answer.ok(200)
        other = cast.people["other admin" if who is not cast.people["other admin"] else "admin"]
        assert who.user_id not in members(other, cast.group)
    else:
        answer.refused(status)
        assert members(cast.owner, cast.group) == before
        assert len(cast.owner.history(cast.group["group_id"])) == length


@pytest.mark.parametrize("role", ["admin", "member", "former", "stranger"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("wanted", ["owner", "admin", "member"])
def test_none_but_the_owner_gives_roles(cast: Cast, role: str, target: str, wanted: str) -> None:
    before = members(cast.owner, cast.group)
    answer = cast.people[role].set_role(cast.group, cast.target(role, target), wanted)
    answer.refused(403 if role in {"admin", "member"} else 404)
    assert members(cast.owner, cast.group) == before


def test_the_owner_makes_admins_and_members(ann: Person, ben: Person) -> None:
    group = ann.group(ben)
    before = len(systems(ann, group))
    membership = ann.set_role(group, ben, "admin").ok(200)
    check_membership(membership)
    assert (membership["user_id"], membership["role"]) == (ben.user_id, "admin")
    assert members(ben, group) == {ann.user_id: "owner", ben.user_id: "admin"}
    back = ann.set_role(group, ben, "member").ok(200)
    assert back == {**membership, "role": "member"}
    assert len(systems(ann, group)) == before + 2


def test_a_role_that_stands_already_is_a_200(ann: Person, ben: Person) -> None:
    group = ann.group(ben)
    ann.set_role(group, ben, "admin").ok(200)
    before = len(systems(ann, group))
    assert ann.set_role(group, ben, "admin").ok(200)["role"] == "admin"
    assert len(systems(ann, group)) == before


def test_the_owner_cannot_demote_themself(ann: Person, ben: Person) -> None:
    group = ann.group(ben)
    for role in ("member", "admin"):
        answer = ann.set_role(group, ann, role)
        assert answer.status in {400, 403, 409}, answer
        answer.problem()
    assert members(ann, group)[ann.user_id] == "owner"


def test_roles_of_non_members_are_a_404(ann: Person, ben: Person, eve: Person) -> None:
    group = ann.group(ben)
    ann.remove(group, ben).ok(200)
    for who in (ben, eve, "0192f0c1-2345-7abc-8def-0123456789ab"):
        for role in ("owner", "admin", "member"):
            ann.set_role(group, who, role).refused(404)


def test_owner_hands_the_group_over(ann: Person, ben: Person, cid: Person) -> None:
    group = ann.group(ben, cid)
    before = len(systems(ann, group))
    membership = ann.set_role(group, ben, "owner").ok(200)
    assert (membership["user_id"], membership["role"]) == (ben.user_id, "owner")
    roles = members(cid, group)
    assert roles[ben.user_id] == "owner"
    assert roles[ann.user_id] in {"admin", "member"}
    assert list(roles.values()).count("owner") == 1
    assert cid.get(f"/groups/{group['group_id']}/").ok()["owner_id"] == ben.user_id
    assert len(systems(ann, group)) > before
    ann.set_role(group, cid, "admin").refused(403)
    ben.set_role(group, cid, "admin").ok(200)
    ben.remove(group, ann).ok(200)


def test_a_leaving_owner_hands_over_to_the_longest_standing_admin(server: Server) -> None:
    owner, first, second, third = server.people("owner", "first", "second", "third")
    group = owner.group()
    for person in (first, second, third):
        owner.add(group, person).ok(201)
    # Made an admin earlier, but in the group for less long.
    owner.set_role(group, third, "admin").ok(200)
    owner.set_role(group, second, "admin").ok(200)
    end = owner.history(group["group_id"])[-1]["seq"]
    owner.remove(group, owner).ok(200)
    assert members(first, group) == {
        first.user_id: "member",
        second.user_id: "owner",
        third.user_id: "admin",
    }
    assert first.get(f"/groups/{group['group_id']}/").ok()["owner_id"] == second.user_id
    left, handed = first.history(group["group_id"])[-2:]
    assert (left["seq"], handed["seq"]) == (end + 1, end + 2)
    assert left["kind"] == handed["kind"] == "system"
    assert left["sender_id"] == owner.user_id
    # The former owner sees the leaving and not the hand-over.
    assert owner.history(group["group_id"])[-1] == left


def test_without_an_admin_to_the_longest_standing_member(server: Server) -> None:
    owner, first, second = server.people("owner", "first", "second")
    group = owner.group()
    owner.add(group, first).ok(201)
    owner.add(group, second).ok(201)
    # Coming back is joining anew.
    owner.remove(group, first).ok(200)
    owner.add(group, first).ok(201)
    owner.remove(group, owner).ok(200)
    assert members(first, group) == {second.user_id: "owner", first.user_id: "member"}


def test_members_named_at_the_start_hand_over_in_some_order_to_one(server: Server) -> None:
    people = server.people("a", "b", "c", "d")
    group = people[0].group(*people[1:])
    inside = list(people)
    while len(inside) > 1:
        owner_id = inside[-1].get(f"/groups/{group['group_id']}/").ok()["owner_id"]
        [owner] = [p for p in inside if p.user_id == owner_id]
        owner.remove(group, owner).ok(200)
        inside.remove(owner)
        roles = members(inside[0], group)
        assert list(roles.values()).count("owner") == 1
        assert set(roles) == {p.user_id for p in inside}


def test_an_owner_alone_may_leave(ann: Person, ben: Person) -> None:
    group = ann.group()
    ann.send_group(group, "x").ok(201)
    ann.remove(group, ann).ok(200)
    assert [m["seq"] for m in ann.history(group["group_id"])] == [1, 2, 3]
    ann.send_group(group, "x").refused(404)
    ann.add(group, ben).refused(404)
    ann.add(group, ann).refused(404)
    assert list(ann.walk("/groups/")) == []
    assert list(ann.walk("/chats/")) == []
    shown = ann.get(f"/groups/{group['group_id']}/").ok()
    assert shown["member_count"] == 0


def test_an_owner_who_comes_back_is_a_member(ann: Person, ben: Person) -> None:
    group = ann.group(ben)
    ann.remove(group, ann).ok(200)
    assert ben.add(group, ann).ok(201)["role"] == "member"
    assert members(ben, group) == {ben.user_id: "owner", ann.user_id: "member"}


def test_an_admin_who_comes_back_is_a_member(ann: Person, ben: Person) -> None:
    group = ann.group(ben)
    ann.set_role(group, ben, "admin").ok(200)
    ann.remove(group, ben).ok(200)
    assert ann.add(group, ben).ok(201)["role"] == "member"


def test_two_admins_who_remove_each_other_never_break_the_group(server: Server) -> None:
    owner, one, two = server.people("owner", "one", "two")
    group = owner.group(one, two)
    answers = at_once(
        [
            lambda: owner.remove(group, one),
            lambda: one.remove(group, one),
            lambda: owner.remove(group, two),
        ]
        * 3
    )
    for answer in answers:
        assert answer.status in {200, 404}, answer
    assert sum(answer.status == 200 for answer in answers) == 2
    assert members(owner, group) == {owner.user_id: "owner"}
    seqs = [m["seq"] for m in owner.history(group["group_id"])]
    assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.parametrize("turn", range(5))
def test_two_owners_handing_over_and_removing_each_other(server: Server, turn: int) -> None:
    one, two, witness = server.people("one", "two", "witness")
    group = one.group(two, witness)
    at_once(
        [
            lambda: one.set_role(group, two, "owner"),
            lambda: one.remove(group, two),
            lambda: two.remove(group, one),
            lambda: one.remove(group, one),
            lambda: two.remove(group, two),
        ]
    )
    roles = members(witness, group)
    assert list(roles.values()).count("owner") == 1, roles
    shown = witness.get(f"/groups/{group['group_id']}/").ok()
    assert roles[shown["owner_id"]] == "owner"
    assert shown["member_count"] == len(roles)
    messages = witness.history(group["group_id"])
    assert [m["seq"] for m in messages] == list(range(1, len(messages) + 1))


def test_joined_at_is_when_one_joined(ann: Person, ben: Person) -> None:
    group = ann.group()
    first = ann.add(group, ben).ok(201)["joined_at"]
    ann.remove(group, ben).ok(200)
    time.sleep(0.002)
    assert ann.add(group, ben).ok(201)["joined_at"] > first
