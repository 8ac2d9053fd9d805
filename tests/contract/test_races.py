"""What happens when two do at once what excludes the other."""

import itertools
from functools import partial

import pytest

from tests.contract.test_groups import members
from tests.http import JSON, Answer, Person, Server, at_once


def check_whole(person: Person, group: str) -> list[JSON]:
    """Demand seqs without gaps and times that grow; return the messages."""
    messages = person.history(group, 500)
    assert [m["seq"] for m in messages] == list(range(1, len(messages) + 1))
    times = [m["sent_at"] for m in messages]
    assert all(earlier < later for earlier, later in itertools.pairwise(times))
    return messages


@pytest.mark.parametrize("turn", range(4))
def test_a_removal_and_a_send(server: Server, turn: int) -> None:
    ann, ben = server.people("ann", "ben")
    group = ann.group(ben)["group_id"]
    follower = ann.follow()
    follower.until_quiet()

    def sends() -> list[Answer]:
        return [ben.send_group(group, f"{n}") for n in range(12)]

    answers, removed = at_once([sends, lambda: [ann.remove(group, ben)]])
    removed[0].ok(200)
    for answer in answers:
        if answer.status != 201:
            answer.refused(404)
    messages = check_whole(ann, group)
    [end] = [m["seq"] for m in messages if m["kind"] == "system"][-1:]
    sent = [answer.body["seq"] for answer in answers if answer.status == 201]
    assert all(seq < end for seq in sent)
    assert [m["seq"] for m in messages if m["kind"] == "text"] == sent
    assert [m["seq"] for m in ben.history(group)] == list(range(1, end + 1))
    follower.until_quiet()
    assert follower.got[group] == messages


@pytest.mark.parametrize("turn", range(4))
def test_a_block_and_sends(server: Server, turn: int) -> None:
    ann, ben = server.people("ann", "ben")
    chat = ann.send(ben, "0").ok(201)["chat_id"]
    answers, block = at_once(
        [lambda: [ann.send(ben, f"{n}") for n in range(12)], lambda: [ben.block(ann)]]
    )
    block[0].ok(201)
    statuses = [answer.status for answer in answers]
    assert statuses == sorted(statuses), "one was sent after another was refused"
    for answer in answers:
        if answer.status != 201:
            answer.refused(403, "blocked")
    ann.send(ben, "x").refused(403, "blocked")
    assert len(check_whole(ben, chat)) == 1 + statuses.count(201)


@pytest.mark.parametrize("turn", range(4))
def test_a_block_and_a_first_message(server: Server, turn: int) -> None:
    ann, ben = server.people("ann", "ben")
    sent, block = at_once([lambda: ann.send(ben, "x"), lambda: ben.block(ann)])
    block.ok(201)
    if sent.status != 201:
        sent.refused(403, "blocked")
        assert list(ann.walk("/chats/")) == []
    ann.send(ben, "y").refused(403, "blocked")


@pytest.mark.parametrize("turn", range(4))
def test_a_block_and_an_adding(server: Server, turn: int) -> None:
    ann, ben = server.people("ann", "ben")
    group = ann.group()
    added, block = at_once([lambda: ann.add(group, ben), lambda: ben.block(ann)])
    block.ok(201)
    if added.status != 201:
        added.refused(403, "blocked")
    assert (ben.user_id in members(ann, group)) == (added.status == 201)


@pytest.mark.parametrize("turn", range(3))
def test_two_admins_remove_two_members_and_each_other(server: Server, turn: int) -> None:
    owner, one, two = server.people("owner", "one", "two")
    group = owner.group(one, two)
    owner.set_role(group, one, "admin").ok()
    owner.set_role(group, two, "admin").ok()
    answers = at_once([lambda: one.remove(group, two), lambda: two.remove(group, one)])
    for answer in answers:
        answer.refused(403)
    owner.set_role(group, one, "owner").ok()
    answers = at_once([lambda: one.remove(group, owner), lambda: owner.remove(group, owner)] * 2)
    assert sorted(answer.status for answer in answers) == [200, 404, 404, 404]
    check_whole(one, group["group_id"])


@pytest.mark.parametrize("turn", range(3))
def test_an_owner_leaves_while_being_added_elsewhere_and_others_join(
    server: Server, turn: int
) -> None:
    owner, other, guest = server.people("owner", "other", "guest")
    here = owner.group(other)
    there = other.group()
    answers = at_once(
        [
            lambda: owner.remove(here, owner),
            lambda: other.add(there, owner),
            lambda: owner.add(here, guest),
            lambda: other.send_group(here, "x"),
            lambda: owner.send_group(there, "y"),
        ]
    )
    answers[0].ok(200)
    answers[1].ok(201)
    answers[3].ok(201)
    assert answers[2].status in {201, 404}
    assert answers[4].status in {201, 404}
    roles = members(other, here)
    assert roles[other.user_id] == "owner"
    assert owner.user_id not in roles
    assert members(other, there) == {other.user_id: "owner", owner.user_id: "member"}
    check_whole(other, here["group_id"])
    check_whole(other, there["group_id"])


def test_one_added_by_many_at_once_joins_once(server: Server) -> None:
    owner, guest = server.people("owner", "guest")
    group = owner.group()
    answers = at_once([lambda: owner.add(group, guest)] * 12)
    assert sorted(answer.status for answer in answers) == [200] * 11 + [201]
    assert len(check_whole(owner, group["group_id"])) == 2


def test_one_removed_by_many_at_once_leaves_once(server: Server) -> None:
    owner, guest = server.people("owner", "guest")
    group = owner.group(guest)
    length = len(owner.history(group["group_id"]))
    answers = at_once([lambda: owner.remove(group, guest), lambda: guest.remove(group, guest)] * 6)
    assert sorted(answer.status for answer in answers) == [200] + [404] * 11
    assert len(check_whole(owner, group["group_id"])) == length + 1


def test_fifty_writers_into_one_group(server: Server) -> None:
    people = server.crowd(50)
    group = people[0].group(*people[1:])["group_id"]
    follower = people[1].follow(limit=500)
    follower.until_quiet()

    def write(person: Person) -> list[Answer]:
        return [person.send_group(group, f"{n} \U0001f98a", f"{n}") for n in range(8)]

    answers = [a for batch in at_once([partial(write, person) for person in people]) for a in batch]
    sent = {answer.ok(201)["seq"]: answer.body for answer in answers}
    messages = check_whole(people[0], group)
    assert {m["seq"]: m["text"] for m in messages if m["kind"] == "text"} == {
        s: m["text"] for s, m in sent.items()
    }
    follower.until_quiet()
    assert follower.got[group] == people[1].history(group, 500)


def test_private_chats_both_ways_and_groups_of_the_same_never_deadlock(server: Server) -> None:
    people = server.crowd(6)
    stranger = server.person()
    groups = [people[n].group(*(p for p in people if p is not people[n])) for n in range(3)]

    def mix(n: int) -> None:
        me = people[n]
        for turn in range(6):
            me.send(
                people[(n + 1 + turn) % 6] if (n + 1 + turn) % 6 != n else people[n - 1], "x"
            ).ok(201)
            me.send_group(groups[turn % 3], "x").ok(201)
            answer = me.set_role(groups[turn % 3], people[(n + 1) % 6], "admin")
            assert answer.status in {200, 403}, answer
            me.block(stranger).ok(201)
            assert me.unblock(stranger).status == 204

    at_once([partial(mix, n) for n in range(6)])
    for group in groups:
        check_whole(people[0], group["group_id"])
