"""API3:2023. Nobody sets a property that is not theirs to set, or sees one that is not to be seen."""

import json
from typing import Any

from tests.http import JSON, Person, Server

FOREIGN = {
    "id": "01980f3e-7b1c-7c3a-9d55-0123456789ab",
    "user_id": "01980f3e-7b1c-7c3a-9d55-0123456789ab",
    "sender_id": "01980f3e-7b1c-7c3a-9d55-0123456789ab",
    "owner_id": "01980f3e-7b1c-7c3a-9d55-0123456789ab",
    "chat_id": "01980f3e-7b1c-7c3a-9d55-0123456789ab",
    "seq": 1000,
    "kind": "system",
    "sent_at": "2001-01-01T00:00:00.000000Z",
    "created_at": "2001-01-01T00:00:00.000000Z",
    "joined_at": "2001-01-01T00:00:00.000000Z",
    "member_count": 99,
    "is_staff": True,
    "is_superuser": True,
    "is_active": False,
    "role": "owner",
    "groups": [1],
    "user_permissions": [1],
    "banned_at": None,
    "date_joined": "2001-01-01T00:00:00.000000Z",
    "token": "mine",
}
SECRETS = ("password", "argon2", "is_staff", "is_superuser", "last_login", "digest", "permissions")


def test_registering_makes_a_user_and_nothing_more(server: Server) -> None:
    name = server.person().username
    fields = FOREIGN | {"username": f"{name}-2", "password": "a long sentence"}
    body = server.post("/register", **fields).ok(201)
    assert set(body) == {"user_id", "username", "display_name", "token"}
    assert body["user_id"] != FOREIGN["user_id"]
    assert body["token"] != FOREIGN["token"]
    server.get("/users/me/", body["token"]).ok()
    # No way into the admin, which staff alone have.
    page = server.call("GET", "/admin/", headers={"accept": "text/html"}, token=body["token"])
    assert page.status == 302


def test_a_message_is_what_the_server_makes_of_it(ann: Person, ben: Person) -> None:
    sent = ann.post("/send_message", **FOREIGN | {"recipient_id": ben.user_id, "text": "x"}).ok(201)
    assert (sent["seq"], sent["kind"], sent["sender_id"]) == (1, "text", ann.user_id)
    assert sent["chat_id"] != FOREIGN["chat_id"]
    assert sent["sent_at"] > "2026"


def test_a_group_is_its_makers_whatever_the_body_says(ann: Person, ben: Person) -> None:
    group = ann.post("/create_group", **FOREIGN | {"name": "x", "group_id": FOREIGN["id"]}).ok(201)
    assert (group["owner_id"], group["member_count"]) == (ann.user_id, 1)
    assert group["group_id"] != FOREIGN["id"]
    added = ann.post(
        "/add_user_to_group", **FOREIGN | {"group_id": group["group_id"], "user_id": ben.user_id}
    ).ok(201)
    assert (added["role"], added["joined_at"] > "2026") == ("member", True)


def test_no_answer_holds_more_than_is_announced(
    ann: Person, ben: Person, document: dict[str, Any]
) -> None:
    """The client of these tests holds each answer against its schema; here for fields beyond it."""
    group = ann.group(ben)
    message = ann.send(ben, "x", "mine").ok(201)
    ann.block(ben).ok(201)
    schemas = document["components"]["schemas"]
    for name, found in {
        "User": ben.get(f"/users/{ann.user_id}/").ok(),
        "Message": message,
        "Poll": ben.poll().ok(),
        "Chat": ben.get(f"/chats/{message['chat_id']}/").ok(),
        "Group": ben.get(f"/groups/{group['group_id']}/").ok(),
        "Membership": ben.get(f"/groups/{group['group_id']}/members/").ok()["results"][0],
        "Block": ann.get("/blocks/").ok()["results"][0],
    }.items():
        assert set(found) == set(schemas[name]["properties"]), name


def test_no_answer_names_a_secret(ann: Person, ben: Person) -> None:
    group = ann.group(ben)
    answers: list[JSON] = [
        ben.get(f"/users/{ann.user_id}/").ok(),
        ben.get(f"/groups/{group['group_id']}/members/").ok(),
        ben.poll().ok(),
        ben.get("/chats/").ok(),
    ]
    for answer in answers:
        text = json.dumps(answer)
        assert not [secret for secret in SECRETS if secret in text]


def test_a_client_id_is_its_senders_alone(ann: Person, ben: Person) -> None:
    sent = ann.send(ben, "x", "only-mine").ok(201)
    [seen] = ben.messages(sent).ok()["results"]
    assert seen["client_id"] is None
    assert "only-mine" not in json.dumps(ben.poll().ok())


def test_who_is_blocked_is_not_told_by_reading(ann: Person, ben: Person) -> None:
    before = ben.get(f"/users/{ann.user_id}/").ok()
    ann.block(ben).ok(201)
    assert ben.get(f"/users/{ann.user_id}/").ok() == before
    assert ben.get("/blocks/").ok()["results"] == []
