"""`/create_group`, `/add_user_to_group`, `/remove_user_from_group`, `/send_message_to_group`."""

import uuid

import pytest

from tests.http import ABSENT, JSON, Person, check_group, check_membership, check_message

NOBODY = "0192f0c1-2345-7abc-8def-0123456789ab"


def systems(person: Person, group: JSON) -> list[JSON]:
    """What has happened to a group."""
    return [m for m in person.history(group["group_id"]) if m["kind"] == "system"]


def members(person: Person, group: JSON) -> dict[str, str]:
    """Who is in a group, and as what."""
    found = list(person.walk(f"/groups/{group['group_id']}/members/"))
    for membership in found:
        check_membership(membership)
        assert membership["group_id"] == group["group_id"]
    assert len({m["user_id"] for m in found}) == len(found)
    return {m["user_id"]: m["role"] for m in found}


def test_creating_works(ann: Person) -> None:
    group = ann.create_group("Friends").ok(201)
    check_group(group)
    assert (group["name"], group["owner_id"], group["member_count"]) == ("Friends", ann.user_id, 1)
    assert members(ann, group) == {ann.user_id: "owner"}
    [created] = ann.history(group["group_id"])
    check_message(created, group["group_id"])
    assert (created["seq"], created["kind"], created["sender_id"]) == (1, "system", ann.user_id)
    assert created["client_id"] is None


def test_creating_with_members_works(ann: Person, ben: Person, cid: Person) -> None:
    group = ann.create_group("Friends", [ben, cid]).ok(201)
    check_group(group)
    assert group["member_count"] == 3
    for person in (ann, ben, cid):
        assert members(person, group) == {
            ann.user_id: "owner",
            ben.user_id: "member",
            cid.user_id: "member",
        }
        assert person.get(f"/groups/{group['group_id']}/").ok() == group
        assert list(person.walk("/groups/")) == [group]
        seqs = [m["seq"] for m in person.history(group["group_id"])]
        assert seqs == list(range(1, len(seqs) + 1))
        [chat] = person.poll().ok()["chats"]
        assert (chat["start"], chat["kind"], chat["name"]) == (1, "group", "Friends")
        assert [m["seq"] for m in chat["messages"]] == seqs


def test_a_member_named_twice_or_the_owner_named_too_counts_once(ann: Person, ben: Person) -> None:
    group = ann.create_group("x", [ben, ben, ann]).ok(201)
    assert group["member_count"] == 2
    assert members(ann, group) == {ann.user_id: "owner", ben.user_id: "member"}


def test_no_members_named_is_a_group_of_one(ann: Person) -> None:
    nobody: list[list[str] | None] = [[], None]
    for ids in nobody:
        answer = ann.post("/create_group", name="x", member_ids=ids)
        if ids is None and answer.status == 400:
            continue
        assert answer.ok(201)["member_count"] == 1


def test_a_named_member_who_does_not_exist_is_a_404_and_nothing_is_created(
    ann: Person, ben: Person
) -> None:
    ann.create_group("x", [ben, NOBODY]).refused(404)
    for person in (ann, ben):
        assert list(person.walk("/groups/")) == []
        assert person.poll().ok()["chats"] == []


def test_very_many_members_named_never_break_the_server(ann: Person) -> None:
    answer = ann.create_group("x", [str(uuid.uuid4()) for _ in range(20_000)])
    assert 400 <= answer.status < 500, answer
    answer.problem()


def test_adding_works(ann: Person, ben: Person) -> None:
    group = ann.group()
    membership = ann.add(group, ben).ok(201)
    check_membership(membership)
    assert membership["group_id"] == group["group_id"]
    assert membership["user_id"] == ben.user_id
    assert membership["role"] == "member"
    assert ann.add(group, ben).ok(200) == membership
    assert [m["user_id"] for m in ann.walk(f"/groups/{group['group_id']}/members/")] == [
        ann.user_id,
        ben.user_id,
    ]
    assert ben.get(f"/groups/{group['group_id']}/").ok()["member_count"] == 2
    assert len(systems(ann, group)) == 2
    assert systems(ann, group)[-1]["sender_id"] == ann.user_id


def test_adding_oneself_or_the_owner_again_is_a_200(ann: Person, ben: Person) -> None:
    group = ann.group(ben)
    ann.set_role(group, ben, "admin").ok()
    assert ben.add(group, ann).ok(200)["role"] == "owner"
    assert ben.add(group, ben).ok(200)["role"] == "admin"


def test_adding_nobody_is_a_404(ann: Person) -> None:
    group = ann.group()
    ann.add(group, NOBODY).refused(404)
    ann.add(NOBODY, ann).refused(404)
    assert len(systems(ann, group)) == 1


def test_who_is_added_sees_from_that_seq(ann: Person, ben: Person) -> None:
    group = ann.group()
    for text in ("one", "two"):
        ann.send_group(group, text).ok(201)
    ann.add(group, ben).ok(201)
    ann.send_group(group, "three").ok(201)
    seen = ben.history(group["group_id"])
    assert [m["seq"] for m in seen] == [4, 5]
    assert [m["kind"] for m in seen] == ["system", "text"]
    [chat] = ben.poll().ok()["chats"]
    assert (chat["start"], chat["end"]) == (4, 5)
    assert [m["seq"] for m in chat["messages"]] == [4, 5]
    shown = ben.get(f"/chats/{group['group_id']}/").ok()
    if "start" in shown:
        assert (shown["start"], shown["end"]) == (4, 5)


def test_removing_works(ann: Person, ben: Person) -> None:
    group = ann.group(ben)
    ann.send_group(group, "one").ok(201)
    ann.remove(group, ben).ok(200)
    ann.send_group(group, "two").ok(201)
    assert members(ann, group) == {ann.user_id: "owner"}
    assert ann.get(f"/groups/{group['group_id']}/").ok()["member_count"] == 1
    last = systems(ann, group)[-1]
    assert last["sender_id"] == ann.user_id
    assert ben.history(group["group_id"])[-1] == last
    assert [m["text"] for m in ann.history(group["group_id"])][-1] == "two"


def test_leaving_works(ann: Person, ben: Person) -> None:
    group = ann.group(ben)
    ben.remove(group, ben).ok(200)
    last = systems(ann, group)[-1]
    assert last["sender_id"] == ben.user_id
    assert members(ann, group) == {ann.user_id: "owner"}
    ben.remove(group, ben).refused(404)


def test_removing_a_non_member_is_a_404_and_takes_no_seq(
    ann: Person, ben: Person, eve: Person
) -> None:
    group = ann.group(ben)
    before = len(ann.history(group["group_id"]))
    ann.remove(group, eve).refused(404)
    ann.remove(group, NOBODY).refused(404)
    ann.remove(group, ben).ok(200)
    ann.remove(group, ben).refused(404)
    assert len(ann.history(group["group_id"])) == before + 1


def test_who_comes_back_sees_both_stretches_and_not_the_gap(
    ann: Person, ben: Person, redis_url: str
) -> None:
    group = ann.group(ben)
    follower = ben.follow()
    follower.until_quiet()
    ann.send_group(group, "first").ok(201)
    ann.remove(group, ben).ok(200)
    for text in ("secret 1", "secret 2"):
        ann.send_group(group, text).ok(201)
    follower.until_quiet()
    ann.add(group, ben).ok(201)
    ann.send_group(group, "second").ok(201)
    whole = ann.history(group["group_id"])
    seen = [m for m in whole if not m["text"].startswith("secret")]
    assert len(seen) == len(whole) - 2
    assert ben.history(group["group_id"]) == seen
    assert ben.history(group["group_id"], limit=1) == seen
    assert ben.history(group["group_id"], limit=2) == seen
    follower.until_quiet()
    assert follower.got[group["group_id"]] == seen
    [chat] = ben.poll().ok()["chats"]
    assert chat["messages"] == seen
    assert (chat["start"], chat["end"]) == (seen[0]["seq"], seen[-1]["seq"])
    # One who has never polled meanwhile gets the same.
    late = ben.follow(limit=1)
    late.until_quiet()
    assert late.got[group["group_id"]] == seen


def test_a_rejoined_member_with_a_cursor_from_before_gets_no_gap_message(
    ann: Person, ben: Person
) -> None:
    group = ann.group(ben)
    follower = ben.follow(limit=2)
    follower.until_quiet()
    for turn in range(3):
        ann.send_group(group, f"seen {turn}").ok(201)
        ann.remove(group, ben).ok(200)
        ann.send_group(group, f"secret {turn}").ok(201)
        ann.add(group, ben).ok(201)
    ann.send_group(group, "end").ok(201)
    follower.until_quiet()
    assert follower.got[group["group_id"]] == ben.history(group["group_id"])
    texts = follower.texts(group["group_id"])
    assert [t for t in texts if t.startswith("seen")] == ["seen 0", "seen 1", "seen 2"]
    assert not any(t.startswith("secret") for t in texts)


def test_a_former_member_reads_on_and_writes_no_more(ann: Person, ben: Person, cid: Person) -> None:
    group = ann.group(ben)
    gid = group["group_id"]
    ann.set_role(group, ben, "admin").ok()
    before = ben.history(gid)
    ann.remove(group, ben).ok(200)
    ben.send_group(group, "x").refused(404)
    ben.add(group, cid).refused(404)
    ben.remove(group, ann).refused(404)
    ben.remove(group, ben).refused(404)
    ben.set_role(group, ann, "member").refused(404)
    ben.add(group, ben).refused(404)
    assert ben.history(gid)[:-1] == before
    ben.get(f"/groups/{gid}/").ok()
    ben.get(f"/chats/{gid}/").ok()
    assert list(ben.walk("/chats/")) == []
    assert list(ben.walk("/groups/")) == []


def test_a_former_member_sees_nothing_of_what_came_after(ann: Person, ben: Person) -> None:
    group = ann.group(ben)
    gid = group["group_id"]
    ann.remove(group, ben).ok(200)
    end = ann.history(gid)[-1]["seq"]
    ann.send_group(group, "secret").ok(201)
    for path in ("", f"?before={end + 100}", f"?after={end - 1}", f"?after={end}", "?limit=500"):
        seqs = [m["seq"] for m in ben.get(f"/chats/{gid}/messages/{path}").ok()["results"]]
        assert all(seq <= end for seq in seqs)
    shown = ben.get(f"/chats/{gid}/").ok()
    assert shown.get("end", end) == end


def test_sending_works(ann: Person, ben: Person) -> None:
    group = ann.group(ben)
    message = ben.send_group(group, "hello", "c").ok(201)
    check_message(message, group["group_id"])
    assert (message["sender_id"], message["kind"], message["client_id"]) == (
        ben.user_id,
        "text",
        "c",
    )
    assert message["seq"] == ann.history(group["group_id"])[-1]["seq"]


def test_a_group_that_is_not_there_is_a_404(ann: Person, ben: Person) -> None:
    for group in (NOBODY, ann.user_id, ben.user_id):
        ann.send_group(group, "x").refused(404)
        ann.remove(group, ben).refused(404)
        ann.set_role(group, ben, "admin").refused(404)
        ann.add(group, ben).refused(404)


def test_system_messages_are_short_english_sentences(ann: Person, ben: Person, cid: Person) -> None:
    group = ann.group(ben, cid)
    ann.set_role(group, ben, "admin").ok()
    ben.remove(group, cid).ok()
    ann.add(group, cid).ok(201)
    cid.remove(group, cid).ok()
    ann.remove(group, ann).ok()
    found = systems(ben, group)
    # Created; ben an admin; cid removed; cid added; cid left; ann left; ben the owner.
    assert len(found) >= 7
    assert [m["sender_id"] for m in found[-6:]] == [
        ann.user_id,
        ben.user_id,
        ann.user_id,
        cid.user_id,
        ann.user_id,
        ann.user_id,
    ]
    for message in found:
        assert 5 < len(message["text"]) < 500
        assert message["text"].isprintable()
        assert " " in message["text"]


def test_a_hostile_name_in_a_system_message_breaks_nothing(
    server_person: Person, ann: Person
) -> None:
    group = ann.group(server_person, name="% %s {0} \u200f")
    ann.remove(group, server_person).ok()
    ann.add(group, server_person).ok(201)
    assert len(systems(ann, group)) >= 3


@pytest.fixture
def server_person(ann: Person) -> Person:
    body = ann.server.post(
        "/register", username=f"h{uuid.uuid4().hex[:12]}", display_name="%s {0} %(x)s"
    ).ok(201)
    return Person(
        ann.server, body["user_id"], body["username"], body["display_name"], body["token"]
    )


@pytest.mark.parametrize("role", [ABSENT, "admin", "member", "owner"])
def test_a_role_in_the_body_is_ignored_when_adding(ann: Person, ben: Person, role: str) -> None:
    group = ann.group()
    body = ann.post(
        "/add_user_to_group", group_id=group["group_id"], user_id=ben.user_id, role=role
    )
    assert body.ok(201)["role"] == "member"
