"""What a user may not see answers 404, not 403, and the same as what is not there."""

import uuid

from tests.http import Person

NOBODY = "0192f0c1-2345-7abc-8def-0123456789ab"


def test_a_private_chat(ann: Person, ben: Person, eve: Person) -> None:
    chat = ann.send(ben, "x").ok(201)["chat_id"]
    for path in (
        "/chats/{}/",
        "/chats/{}/messages/",
        "/chats/{}/messages/?before=5",
        "/chats/{}/messages/?after=0",
        "/groups/{}/",
        "/groups/{}/members/",
    ):
        hidden = eve.get(path.format(chat))
        missing = eve.get(path.format(NOBODY))
        hidden.refused(404)
        missing.refused(404)
        assert hidden.content.replace(chat.encode(), b"") == missing.content.replace(
            NOBODY.encode(), b""
        )


def test_a_group(ann: Person, ben: Person, eve: Person) -> None:
    group = ann.group(ben)["group_id"]
    for path in ("/chats/{}/", "/chats/{}/messages/", "/groups/{}/", "/groups/{}/members/"):
        hidden = eve.get(path.format(group))
        missing = eve.get(path.format(NOBODY))
        hidden.refused(404)
        assert hidden.content.replace(group.encode(), b"") == missing.content.replace(
            NOBODY.encode(), b""
        )


def test_writes_to_a_group(ann: Person, ben: Person, eve: Person) -> None:
    group = ann.group(ben)
    for answer, missing in (
        (eve.send_group(group, "x"), eve.send_group(NOBODY, "x")),
        (eve.add(group, eve), eve.add(NOBODY, eve)),
        (eve.add(group, ann), eve.add(NOBODY, ann)),
        (eve.add(group, str(uuid.uuid4())), eve.add(NOBODY, str(uuid.uuid4()))),
        (eve.remove(group, ann), eve.remove(NOBODY, ann)),
        (eve.remove(group, eve), eve.remove(NOBODY, eve)),
        (eve.set_role(group, ann, "admin"), eve.set_role(NOBODY, ann, "admin")),
        (eve.set_role(group, eve, "owner"), eve.set_role(NOBODY, eve, "owner")),
    ):
        answer.refused(404)
        assert answer.content == missing.content
    assert [m["seq"] for m in ann.history(group["group_id"])] == list(
        range(1, len(ann.history(group["group_id"])) + 1)
    )


def test_a_block_does_not_open_or_close_more(ann: Person, ben: Person, eve: Person) -> None:
    group = ann.group(ben)
    ann.block(eve).ok(201)
    eve.add(group, ann).refused(404)
    eve.add(group, eve).refused(404)


def test_a_stranger_is_polled_nothing(ann: Person, ben: Person, eve: Person) -> None:
    follower = eve.follow()
    follower.until_quiet()
    ann.send(ben, "x").ok(201)
    ann.send_group(ann.group(ben), "x").ok(201)
    assert follower.until_quiet() == {}
    assert eve.poll().ok()["chats"] == []


def test_one_who_was_removed_before_anything_was_said(
    ann: Person, ben: Person, cid: Person
) -> None:
    group = ann.group()
    ann.send_group(group, "before").ok(201)
    ann.add(group, ben).ok(201)
    ann.remove(group, ben).ok(200)
    ann.send_group(group, "after").ok(201)
    seen = ben.history(group["group_id"])
    assert [m["seq"] for m in seen] == [3, 4]
    cid.messages(group).refused(404)
