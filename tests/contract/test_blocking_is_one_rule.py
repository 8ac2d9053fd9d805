"""Who is blocked can't write to that user's private chat nor put that user in a group."""

import uuid

from tests.http import BLOCK_KEYS, Person, at_once, check_time


def test_it_works(ann: Person, ben: Person) -> None:
    block = ann.block(ben).ok(201)
    assert set(block) == BLOCK_KEYS
    assert block["user_id"] == ben.user_id
    check_time(block["created_at"])
    assert ann.block(ben).ok(200) == block
    assert list(ann.walk("/blocks/")) == [block]
    assert list(ben.walk("/blocks/")) == []


def test_lifting_it_works(ann: Person, ben: Person) -> None:
    ann.block(ben).ok(201)
    answer = ann.unblock(ben)
    assert answer.status == 204
    assert answer.content == b""
    assert list(ann.walk("/blocks/")) == []
    ann.unblock(ben).refused(404)
    ben.send(ann, "hello").ok(201)
    ann.block(ben).ok(201)


def test_blocking_oneself_is_a_400(ann: Person) -> None:
    ann.block(ann).refused(400, attr="user_id")


def test_blocking_nobody_is_a_404(ann: Person) -> None:
    ann.block(str(uuid.uuid4())).refused(404)
    ann.unblock(str(uuid.uuid4())).refused(404)


def test_a_block_is_its_owners_alone(ann: Person, ben: Person) -> None:
    ann.block(ben).ok(201)
    ben.unblock(ann).refused(404)
    ben.send(ann, "x").refused(403, "blocked")


def test_many_at_once_make_one_block(ann: Person, ben: Person) -> None:
    answers = at_once([lambda: ann.block(ben)] * 10)
    assert sorted(answer.status for answer in answers) == [200] * 9 + [201]
    assert len({answer.content for answer in answers}) == 1
    lifted = at_once([lambda: ann.unblock(ben)] * 10)
    assert sorted(answer.status for answer in lifted) == [204] + [404] * 9


def test_the_blocked_cannot_write_and_the_other_can(ann: Person, ben: Person) -> None:
    chat = ann.send(ben, "before").ok(201)["chat_id"]
    ann.block(ben).ok(201)
    ben.send(ann, "x").refused(403, "blocked")
    assert ann.send(ben, "still").ok(201)["seq"] == 2
    ben.block(ann).ok(201)
    ann.send(ben, "x").refused(403, "blocked")
    ann.unblock(ben).ok(204)
    assert ben.send(ann, "again").ok(201)["seq"] == 3
    assert [message["text"] for message in ben.history(chat)] == ["before", "still", "again"]


def test_the_blocked_cannot_begin_a_chat(ann: Person, ben: Person) -> None:
    ann.block(ben).ok(201)
    ben.send(ann, "x").refused(403, "blocked")
    assert list(ben.walk("/chats/")) == []
    assert list(ann.walk("/chats/")) == []
    assert ann.send(ben, "x").ok(201)["seq"] == 1


def test_history_stays_readable_to_both(ann: Person, ben: Person) -> None:
    chat = ann.send(ben, "one").ok(201)["chat_id"]
    ben.send(ann, "two").ok(201)
    ann.block(ben).ok(201)
    for person in (ann, ben):
        assert [message["text"] for message in person.history(chat)] == ["one", "two"]
        assert [c["chat_id"] for c in person.walk("/chats/")] == [chat]
        person.get(f"/chats/{chat}/").ok()
        [shown] = person.poll().ok()["chats"]
        assert len(shown["messages"]) == 2


def test_the_blocked_cannot_add_to_a_group(ann: Person, ben: Person) -> None:
    ann.block(ben).ok(201)
    group = ben.group()
    ben.add(group, ann).refused(403, "blocked")
    assert [m["user_id"] for m in ben.walk(f"/groups/{group['group_id']}/members/")] == [
        ben.user_id
    ]
    ben.create_group("x", [ann]).refused(403, "blocked")
    assert list(ann.walk("/groups/")) == []


def test_a_group_with_one_who_blocks_is_not_created_at_all(
    ann: Person, ben: Person, cid: Person
) -> None:
    ann.block(ben).ok(201)
    ben.create_group("x", [cid, ann]).refused(403, "blocked")
    for person in (ann, ben, cid):
        assert list(person.walk("/groups/")) == []
        assert person.poll().ok()["chats"] == []


def test_who_blocks_may_add_the_blocked(ann: Person, ben: Person) -> None:
    ann.block(ben).ok(201)
    group = ann.group(ben)
    assert group["member_count"] == 2
    other = ann.group()
    ann.add(other, ben).ok(201)


def test_another_may_put_both_in_a_group(ann: Person, ben: Person, cid: Person) -> None:
    ann.block(ben).ok(201)
    group = cid.group(ann, ben)
    assert group["member_count"] == 3
    assert ben.send_group(group, "hello").ok(201)


def test_groups_they_share_go_on(ann: Person, ben: Person) -> None:
    group = ann.group(ben)
    followers = [ann.follow(), ben.follow()]
    for follower in followers:
        follower.until_quiet()
    ann.block(ben).ok(201)
    ben.send_group(group, "from ben").ok(201)
    ann.send_group(group, "from ann").ok(201)
    for follower in followers:
        follower.until_quiet()
        assert follower.texts(group["group_id"])[-2:] == ["from ben", "from ann"]


def test_adding_a_member_again_is_a_200_whatever_blocks_stand(ann: Person, ben: Person) -> None:
    group = ann.group(ben)
    ben.block(ann).ok(201)
    ann.add(group, ben).ok(200)
    ann.remove(group, ben).ok(200)
    ann.add(group, ben).refused(403, "blocked")


def test_the_blocked_may_still_be_removed_and_leave(ann: Person, ben: Person) -> None:
    group = ann.group(ben)
    ben.block(ann).ok(201)
    ann.set_role(group, ben, "admin").ok(200)
    ann.remove(group, ben).ok(200)
