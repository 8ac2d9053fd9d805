"""API1:2023. Other people's ids open nothing, on any route, in any form, through any list.

Every operation of the OpenAPI document is in one of the three tables below; a new route fails
`test_every_route_is_judged` until somebody has said whose objects it opens.
"""

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.http import ABSENT, JSON, Person, Server

NOBODY = "01980f3e-7b1c-7c3a-9d55-0123456789ab"

OPEN = {
    "GET /", "GET /healthz", "GET /readyz", "GET /metrics", "POST /login", "POST /register",
}  # fmt: skip
# They answer of the caller alone, whoever that is: no id goes in.
OWN = {
    "GET /archive/", "GET /blocks/", "GET /chats/", "GET /groups/", "GET /users/me/",
    "POST /get_messages", "POST /logout",
    "GET /reports/", "POST /export", "GET /exports/",
}  # fmt: skip
# Any user may name any other in these; what comes of it is the caller's.
OF_ANYBODY = {
    "GET /users/{id}/", "POST /send_message", "POST /block_user", "POST /unblock_user",
    "POST /create_group", "POST /report_user",
}  # fmt: skip
# An id of somebody else's chat, group or object: as if there were none.
BY_ID: dict[str, Callable[[JSON], tuple[str, JSON | None]]] = {
    "GET /chats/{id}/": lambda ids: (f"/chats/{ids['chat']}/", None),
    "GET /chats/{chat_id}/messages/": lambda ids: (f"/chats/{ids['chat']}/messages/", None),
    "GET /groups/{id}/": lambda ids: (f"/groups/{ids['group']}/", None),
    "GET /groups/{id}/members/": lambda ids: (f"/groups/{ids['group']}/members/", None),
    "GET /archive/{year}/{day}/{hour}/{chat_id}/": lambda ids: (
        f"/archive/2026/001/00/{ids['chat']}/",
        None,
    ),
    "GET /exports/{id}/": lambda ids: (f"/exports/{ids['export']}/", None),
    "GET /exports/{id}/download/": lambda ids: (f"/exports/{ids['export']}/download/", None),
    "POST /send_message_to_group": lambda ids: (
        "/send_message_to_group",
        {"group_id": ids["group"], "text": "let me in"},
    ),
    "POST /add_user_to_group": lambda ids: (
        "/add_user_to_group",
        {"group_id": ids["group"], "user_id": ids["me"]},
    ),
    "POST /remove_user_from_group": lambda ids: (
        "/remove_user_from_group",
        {"group_id": ids["group"], "user_id": ids["owner"]},
    ),
    "POST /report_message": lambda ids: (
        "/report_message",
        {"chat_id": ids["chat"], "seq": 1, "reason": "spam"},
    ),
    "POST /set_group_role": lambda ids: (
        "/set_group_role",
        {"group_id": ids["group"], "user_id": ids["me"], "role": "owner"},
    ),
}


@pytest.fixture
def ids(ann: Person, ben: Person, eve: Person) -> JSON:
    """What Eve is not in."""
    return {
        "chat": ann.send(ben, "between us").ok(201)["chat_id"],
        "group": ann.group(ben)["group_id"],
        "owner": ann.user_id,
        "export": ann.post("/export").ok(202)["export_id"],
        "me": eve.user_id,
    }


def test_every_route_is_judged(operations: list[tuple[str, str, Any]]) -> None:
    routes = {f"{method} {path}" for method, path, _ in operations}
    judged = OPEN | OWN | OF_ANYBODY | set(BY_ID)
    assert sorted(routes - judged) == []
    assert sorted(set(BY_ID) - routes) == []


@pytest.mark.parametrize("route", sorted(BY_ID))
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_an_id_of_others_is_an_id_of_nothing(
    server: Server, eve: Person, ids: JSON, route: str, accept: str
) -> None:
    answers = []
    for known in (ids, ids | {"chat": NOBODY, "group": NOBODY, "export": NOBODY}):
        path, body = BY_ID[route](known)
        method = route.partition(" ")[0]
        answer = server.call(
            method,
            path,
            token=eve.token,
            headers={"accept": accept},
            json_body=ABSENT if body is None else body,
        )
        assert answer.status == 404, answer
        text = answer.content.decode()
        for id_ in known.values():
            text = text.replace(str(id_), "-")
        # A page's forms hold a secret of their own each time.
        text = re.sub(r'(csrfmiddlewaretoken" value=)"[^"]*"', r"\1", text)
        answers.append(text)
    assert answers[0] == answers[1]


def test_nobody_is_who_a_body_a_query_or_a_header_says(
    server: Server, ann: Person, ben: Person, eve: Person
) -> None:
    sent = server.call(
        "POST",
        f"/send_message?user_id={ann.user_id}&sender_id={ann.user_id}",
        token=eve.token,
        json_body={
            "recipient_id": ben.user_id,
            "text": "as Ann",
            "sender_id": ann.user_id,
            "user_id": ann.user_id,
        },
        headers={
            "x-user-id": ann.user_id,
            "x-forwarded-user": ann.username,
            "remote-user": ann.username,
            "x-remote-user": ann.username,
        },
    ).ok(201)
    assert sent["sender_id"] == eve.user_id
    assert eve.get("/users/me/", user_id=ann.user_id).ok()["user_id"] == eve.user_id


def test_a_place_in_ones_own_list_shows_another_user_their_own_list(
    ann: Person, ben: Person, eve: Person
) -> None:
    for path, make in (
        ("/chats/", lambda: [ann.send(ann.server.person(), "x").ok(201) for _ in range(3)]),
        ("/groups/", lambda: [ann.group() for _ in range(3)]),
        ("/blocks/", lambda: [ann.block(ann.server.person()).ok(201) for _ in range(3)]),
    ):
        make()
        second = ann.get(path, limit=1).ok()["next"]
        assert eve.get(second).ok()["results"] == []


def test_a_cursor_of_another_user_is_no_cursor(ann: Person, ben: Person, eve: Person) -> None:
    ann.send(ben, "between us").ok(201)
    cursor = ben.poll().ok()["cursor"]
    assert eve.poll(cursor).refused(400)["code"] == "bad_cursor"


def test_a_former_member_reads_only_what_they_could_see(
    ann: Person, ben: Person, eve: Person
) -> None:
    group = ann.group(ben)
    ann.send_group(group, "with Ben").ok(201)
    ann.remove(group, ben).ok()
    ann.send_group(group, "without Ben").ok(201)
    assert "without Ben" not in [message["text"] for message in ben.history(group["group_id"])]
    end = ben.messages(group, limit=1).ok()["results"][-1]["seq"]
    assert ben.messages(group, after=end).ok()["results"] == []
    ben.send_group(group, "let me").refused(404)
    ben.get(f"/groups/{group['group_id']}/members/").refused(404)


def test_ids_can_not_be_guessed_from_one_another(ann: Person, ben: Person) -> None:
    ids = [uuid.UUID(ann.group()["group_id"]) for _ in range(8)]
    # 62 random bits each: neighbours in time have nothing in common there.
    tails = {id_.int & (2**62 - 1) for id_ in ids}
    assert len(tails) == len(ids)
    assert min(abs(a - b) for a in tails for b in tails if a != b) > 2**32
