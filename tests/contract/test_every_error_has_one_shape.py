"""Bad JSON, wrong types, unknown ids and paths, wrong methods, too large a body: 4xx, one shape."""

import json
import re
import uuid
from typing import Any

import httpx
import pytest

from tests.http import ABSENT, Answer, Person, Server

ROUTES: dict[str, dict[str, Any]] = {
    "/register": {"username": "someone"},
    "/login": {"username": "someone", "password": "a long secret 1"},
    "/send_message": {"recipient_id": "", "text": "x"},
    "/block_user": {"user_id": ""},
    "/unblock_user": {"user_id": ""},
    "/create_group": {"name": "x"},
    "/add_user_to_group": {"group_id": "", "user_id": ""},
    "/remove_user_from_group": {"group_id": "", "user_id": ""},
    "/set_group_role": {"group_id": "", "user_id": "", "role": "admin"},
    "/send_message_to_group": {"group_id": "", "text": "x"},
    "/report_message": {"chat_id": "", "seq": 1, "reason": "spam"},
    "/report_user": {"user_id": "", "reason": "spam"},
    "/get_messages": {"limit": 5},
}
# An id of nothing, the same in every process that collects these tests.
NOBODY = "0192f0c1-2345-7abc-8def-0123456789ab"
# Bodies of these are needed; the others do with an empty one, or with none.
NEED_A_BODY = [route for route in ROUTES if route != "/get_messages"]
READS = [
    "/users/me/",
    f"/users/{NOBODY}/",
    "/chats/",
    f"/chats/{NOBODY}/",
    f"/chats/{NOBODY}/messages/",
    "/groups/",
    f"/groups/{NOBODY}/",
    f"/groups/{NOBODY}/members/",
    "/blocks/",
    "/reports/",
]
OPEN = {"/register", "/login"}

BAD_JSON = {
    "nothing": b"",
    "a brace": b"{",
    "no value": b'{"text": }',
    "single quotes": b"{'text': 'x'}",
    "something after it": b'{"text": "x"} {}',
    "NaN": b'{"text": NaN, "limit": NaN, "username": NaN, "password": NaN}',
    "Infinity": b'{"text": Infinity, "limit": -Infinity, "username": Infinity}',
    "deep lists": b"[" * 100_000,
    "deep lists, closed": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep lists in a field": b'{"text":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "bytes that are no UTF-8": b'{"text": "\xff\xfe", "username": "\xff", "name": "\xff"}',
    "half a character": b'{"text": "\xe2\x82", "username": "\xe2\x82", "name": "\xe2\x82"}',
    "a surrogate in UTF-8": b'{"text": "\xed\xa0\x80", "username": "\xed\xa0\x80"}',
    "an overlong NUL": b'{"text": "\xc0\x80", "username": "\xc0\x80"}',
    "UTF-16": '{"text": "x", "limit": 5}'.encode("utf-16"),
    "a bare NUL": b'{"text": "\x00", "username": "\x00"}',
    "only NULs": b"\x00" * 10,
}
NOT_AN_OBJECT = [b"[]", b"[1]", b"null", b"5", b'"text"', b"true", b'[{"text": "x"}]']

WRONG_IDS: list[Any] = [
    "",
    "x",
    5,
    -1,
    1.5,
    True,
    None,
    [],
    {},
    ["x"],
    "0" * 5000,
    "\x00",
    "é" * 36,
]
WRONG_TEXTS: list[Any] = ["", 5, 1.5, True, None, [], {}, ["x"], {"a": 1}]


def post_raw(server: Server, path: str, content: bytes, token: str | None) -> Answer:
    return server.call("POST", path, token=token, content=content)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", BAD_JSON)
def test_bad_json_is_a_400(server: Server, ann: Person, route: str, kind: str) -> None:
    if kind == "nothing" and route not in NEED_A_BODY:
        pytest.skip("every field of it is optional")
    post_raw(server, route, BAD_JSON[kind], ann.token).refused(400)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("content", NOT_AN_OBJECT)
def test_a_body_that_is_no_object_is_a_400(
    server: Server, ann: Person, route: str, content: bytes
) -> None:
    post_raw(server, route, content, ann.token).refused(400)


@pytest.mark.parametrize("route", NEED_A_BODY)
def test_missing_fields_are_named(server: Server, ann: Person, route: str) -> None:
    for name in ROUTES[route]:
        if name == "limit":
            continue
        answer = server.post(route, ann.token)
        answer.refused(400, attr=name)


@pytest.mark.parametrize(
    ("route", "name"),
    [
        ("/send_message", "recipient_id"),
        ("/block_user", "user_id"),
        ("/unblock_user", "user_id"),
        ("/add_user_to_group", "group_id"),
        ("/add_user_to_group", "user_id"),
        ("/remove_user_from_group", "group_id"),
        ("/remove_user_from_group", "user_id"),
        ("/set_group_role", "group_id"),
        ("/set_group_role", "user_id"),
        ("/send_message_to_group", "group_id"),
    ],
)
@pytest.mark.parametrize("wrong", WRONG_IDS, ids=repr)
def test_ids_that_are_no_uuids_are_a_400(
    ann: Person, ben: Person, route: str, name: str, wrong: Any
) -> None:
    fields = {
        "group_id": ann.group()["group_id"] if name != "group_id" else None,
        "user_id": ben.user_id,
        "recipient_id": ben.user_id,
        "text": "x",
        "role": "admin",
    }
    ann.post(route, **{**fields, name: wrong}).refused(400)


@pytest.mark.parametrize("wrong", WRONG_TEXTS, ids=repr)
def test_texts_of_a_wrong_type_are_a_400(ann: Person, ben: Person, wrong: Any) -> None:
    ann.send(ben, wrong).refused(400, attr="text")
    ann.send_group(ann.group(), wrong).refused(400, attr="text")


@pytest.mark.parametrize("wrong", ["", "x" * 65, 5, True, 1.5, [], {}, ["x"]], ids=repr)
def test_client_ids_of_a_wrong_type_or_length_are_a_400(
    ann: Person, ben: Person, wrong: Any
) -> None:
    ann.send(ben, "x", wrong).refused(400, attr="client_id")
    ann.send_group(ann.group(), "x", wrong).refused(400, attr="client_id")


@pytest.mark.parametrize("bad", ["\x00", "a\x00b", "\ud800", "a\udc00b", "\ude00\ud83d"])
def test_nul_and_lone_surrogates_are_a_400_in_every_field(
    server: Server, ann: Person, ben: Person, bad: str
) -> None:
    # NUL is the field's fault, a lone surrogate may as well be the JSON's.
    def attr(name: str) -> str | None:
        return name if "\x00" in bad else None

    group = ann.group()
    ann.send(ben, bad).refused(400, attr=attr("text"))
    ann.send(ben, "x", bad).refused(400, attr=attr("client_id"))
    ann.send_group(group, bad).refused(400, attr=attr("text"))
    ann.create_group(bad).refused(400, attr=attr("name"))
    ann.set_role(group, ann, bad).refused(400, attr=attr("role"))
    ann.poll(bad).refused(400, attr=attr("cursor"))
    name = "q" + ann.user_id[-12:]
    server.post("/register", username=name + bad).refused(400, attr=attr("username"))
    server.post("/register", username=name, display_name=bad).refused(400)
    server.post("/register", username=name, password=bad + "long one 1").refused(400)
    answer = server.post("/login", username=bad, password=bad)
    assert answer.status in {400, 401}
    answer.problem()


@pytest.mark.parametrize(
    "wrong",
    [0, -1, 501, 10**30, -(10**400), 1.5, "5", "x", True, [], {}, [5]],
    ids=lambda x: str(x)[:9],
)
def test_limits_out_of_range_or_of_a_wrong_type_are_a_400(ann: Person, wrong: Any) -> None:
    huge = isinstance(wrong, int) and abs(wrong) > 2**300
    ann.poll(limit=wrong).refused(400, attr=None if huge else "limit")


@pytest.mark.parametrize(
    "number", [b"1e400", b"-1e400", b"1e999999999", b"9" * 5000, b"9" * 500_000]
)
def test_numbers_beyond_all_bounds_are_a_400(server: Server, ann: Person, number: bytes) -> None:
    for route in ("/get_messages", "/send_message"):
        post_raw(server, route, b'{"limit": %s}' % number, ann.token).refused(400)


@pytest.mark.parametrize("wrong", [5, True, 1.5, [], {}, ""], ids=repr)
def test_cursors_of_a_wrong_type_are_a_400(ann: Person, wrong: Any) -> None:
    ann.poll(wrong).refused(400, attr="cursor")


@pytest.mark.parametrize("wrong", ["", 5, True, None, [], {}], ids=repr)
def test_names_of_a_wrong_type_are_a_400(server: Server, ann: Person, wrong: Any) -> None:
    ann.create_group(wrong).refused(400, attr="name")
    server.post("/register", username=wrong).refused(400, attr="username")


@pytest.mark.parametrize("wrong", [5, "x", True, {}, [5], ["x"], [None], [[]], [""]], ids=repr)
def test_member_ids_of_a_wrong_type_are_a_400(ann: Person, wrong: Any) -> None:
    ann.post("/create_group", name="x", member_ids=wrong).refused(400)


@pytest.mark.parametrize("wrong", ["", "king", "OWNER", 5, True, None, [], {}], ids=repr)
def test_roles_that_do_not_exist_are_a_400(ann: Person, ben: Person, wrong: Any) -> None:
    ann.set_role(ann.group(ben), ben, wrong).refused(400, attr="role")


def test_duplicate_keys_never_break_the_server(server: Server, ann: Person, ben: Person) -> None:
    body = f'{{"recipient_id": "{ben.user_id}", "text": "one", "text": "two"}}'.encode()
    answer = post_raw(server, "/send_message", body, ann.token)
    if answer.status == 201:
        assert answer.body["text"] == "two"
    else:
        answer.refused(400)


def test_unknown_fields_are_ignored(ann: Person, ben: Person) -> None:
    body = ann.post(
        "/send_message",
        recipient_id=ben.user_id,
        text="x",
        sender_id=ben.user_id,
        seq=99,
        kind="system",
        sent_at="2000-01-01T00:00:00.000000Z",
        nonsense={"a": [1, 2]},
    ).ok(201)
    assert (body["sender_id"], body["seq"], body["kind"]) == (ann.user_id, 1, "text")
    assert not body["sent_at"].startswith("2000")


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/nowhere/",
        "/send_message/",
        "/%00",
        "/%ff",
        "/users/",
        "/users/x/",
        "/chats/x/",
        "/chats/%01/messages/",
        "/groups/x/members/",
        "/get_messages/",
        "/é",
        "/chats/me/",
        "/register/",
        "/users/00000000-0000-0000-0000-000000000000x/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_unknown_paths_are_a_404(server: Server, ann: Person, path: str, method: str) -> None:
    answer = server.call(method, path, token=ann.token)
    # What looks like the path of something that can only be read may say so first.
    known = re.match(r"/(users|chats|groups)/", path) and (method != "GET" or path == "/users/")
    # A proxy may refuse a NUL by itself.
    odd = {400} if "%00" in path else set()
    assert answer.status in odd | ({404, 405} if known else {404}), answer
    answer.problem()


def test_unknown_paths_are_a_404_to_anyone(server: Server) -> None:
    server.get("/nowhere").refused(404)
    server.post("/nowhere").refused(404)
    server.post("/send_message/").refused(404)


@pytest.mark.parametrize("accept", ["application/json", "*/*", "application/*", None])
def test_a_program_never_gets_a_page(server: Server, ann: Person, accept: str | None) -> None:
    headers = {"accept": accept} if accept else {}
    for path, token in [("/nowhere", None), ("/chats/", None), ("/chats/x/", ann.token)]:
        client = httpx.Client(base_url=server.base_url)
        if not accept:
            del client.headers["accept"]
        if token:
            headers = {**headers, "authorization": f"Bearer {token}"}
        response = client.get(path, headers=headers)
        answer = Answer(response.status_code, response.headers, response.content)
        assert 400 <= answer.status < 500
        answer.problem()


@pytest.mark.parametrize("route", [*ROUTES, "/logout"])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_a_wrong_method_on_a_write_is_a_405(
    server: Server, ann: Person, route: str, method: str
) -> None:
    answer = server.call(method, route, token=ann.token)
    answer.refused(405)
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_wrong_method_on_a_read_is_a_405(
    server: Server, ann: Person, path: str, method: str
) -> None:
    server.call(method, path, token=ann.token, json_body={}).refused(405)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/xml",
        "application/octet-stream",
        "image/png",
        "nonsense",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
    ],
)
def test_another_kind_of_body_is_a_415(server: Server, ann: Person, route: str, kind: str) -> None:
    server.call(
        "POST", route, token=ann.token, content=b'{"a": 1}', headers={"content-type": kind}
    ).refused(415)


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"]
)
def test_json_may_name_its_charset(server: Server, ann: Person, ben: Person, kind: str) -> None:
    body = json.dumps({"recipient_id": ben.user_id, "text": "ü"}, ensure_ascii=False).encode()
    answer = server.call(
        "POST", "/send_message", token=ann.token, content=body, headers={"content-type": kind}
    )
    assert answer.ok(201)["text"] == "ü"


@pytest.mark.parametrize("charset", ["utf-16", "latin-1", "nonsense", ""])
def test_an_odd_charset_never_breaks_the_server(
    server: Server, ann: Person, ben: Person, charset: str
) -> None:
    body = json.dumps({"recipient_id": ben.user_id, "text": "x"}).encode()
    answer = server.call(
        "POST",
        "/send_message",
        token=ann.token,
        content=body,
        headers={"content-type": f"application/json; charset={charset}"},
    )
    if answer.status != 201:
        assert answer.status in {400, 415}, answer
        answer.problem()


def padded(fields: dict[str, Any], size: int) -> bytes:
    start = json.dumps({**fields, "padding": ""}).encode()
    return start[:-2] + b"x" * (size - len(start)) + b'"}'


def test_a_body_of_one_mebibyte_is_read(server: Server, ann: Person, ben: Person) -> None:
    body = padded({"recipient_id": ben.user_id, "text": "x"}, 1024 * 1024)
    assert len(body) == 1024 * 1024
    post_raw(server, "/send_message", body, ann.token).ok(201)


@pytest.mark.parametrize("route", [*ROUTES, "/logout"])
@pytest.mark.parametrize("size", [1024 * 1024 + 1, 5 * 1024 * 1024])
def test_a_larger_body_is_a_413(server: Server, ann: Person, route: str, size: int) -> None:
    body = padded(ROUTES.get(route, {}), size)
    answer = post_raw(server, route, body, ann.token)
    if route != "/logout" or answer.status != 204:
        answer.refused(413)


def test_a_larger_body_without_a_length_is_a_413(server: Server, ann: Person, ben: Person) -> None:
    body = padded({"recipient_id": ben.user_id, "text": "x"}, 1024 * 1024 + 1)
    pieces = (body[i : i + 65536] for i in range(0, len(body), 65536))
    server.call("POST", "/send_message", token=ann.token, content=pieces).refused(413)


def test_a_body_without_a_length_is_read(server: Server, ann: Person, ben: Person) -> None:
    body = json.dumps({"recipient_id": ben.user_id, "text": "in pieces"}).encode()
    pieces = (bytes([byte]) for byte in body)
    answer = server.call("POST", "/send_message", token=ann.token, content=pieces)
    assert answer.ok(201)["text"] == "in pieces"


@pytest.mark.parametrize("path", [*READS, *ROUTES, "/logout"])
@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer a b",
        "Bearer " + "x" * 43,
        "Bearer " + "x" * 5000,
        "Token x",
        "Basic YTpi",
        "Bearer \u00ff\u00fe",
        "bearer",
        "Bearer ' OR 1=1",
    ],
    ids=lambda x: repr(x)[:20],
)
def test_no_or_a_bad_token_is_a_401(server: Server, path: str, header: str | None) -> None:
    if path in OPEN:
        pytest.skip("open to anyone")
    method = "GET" if path in READS else "POST"
    raw: Any = {} if header is None else {"authorization": header.encode("latin-1")}
    answer = server.call(method, path, headers=raw)
    answer.refused(401)
    assert "bearer" in answer.headers["www-authenticate"].lower()


@pytest.mark.parametrize("route", [*ROUTES, "/logout"])
def test_a_bad_token_is_told_before_a_bad_body(server: Server, route: str) -> None:
    if route in OPEN:
        pytest.skip("open to anyone")
    post_raw(server, route, b"{", "nobody").refused(401)


def test_the_scheme_of_a_token_is_read_in_any_case(server: Server, ann: Person) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        headers = {"authorization": f"{scheme} {ann.token}"}
        server.call("GET", "/users/me/", headers=headers).ok(200)


def test_a_bad_token_does_not_stand_in_the_way_of_registering(server: Server, ann: Person) -> None:
    body = {"username": f"new-{uuid.uuid4()}"}
    answer = server.call("POST", "/register", json_body=body, token="expired-or-revoked")
    assert answer.status in {201, 401}, answer
    assert (
        server.call(
            "POST", "/register", json_body={"username": f"n-{uuid.uuid4()}"}, token=ann.token
        ).status
        == 201
    )


@pytest.mark.parametrize("absent", [ABSENT, None])
def test_optional_fields_may_be_left_out(ann: Person, ben: Person, absent: Any) -> None:
    assert ann.send(ben, "x", absent).ok(201)["client_id"] is None


@pytest.mark.parametrize(
    "accept", ["application/xml", "text/plain", "image/png", "nonsense", "x/y;q=z"]
)
def test_an_accept_header_that_cannot_be_met_never_breaks_the_server(
    server: Server, ann: Person, accept: str
) -> None:
    answer = server.call("GET", "/users/me/", token=ann.token, headers={"accept": accept})
    if answer.status != 200:
        answer.refused(406)


@pytest.mark.parametrize(
    "query",
    [
        "?limit=x",
        "?limit=0",
        "?limit=-1",
        "?limit=99999999999999999999",
        "?cursor=x",
        "?cursor=%00",
        "?cursor=%ff",
        "?cursor=",
        "?format=xml",
        "?format=json",
        "?format=api",
        "?page=x",
        "?cursor=cD0x",
    ],
)
@pytest.mark.parametrize("path", ["/chats/", "/groups/", "/blocks/", "/users/me/"])
def test_odd_queries_never_break_the_server(
    server: Server, ann: Person, path: str, query: str
) -> None:
    answer = server.get(path + query, ann.token)
    assert answer.status in {200, 400, 404, 406}, answer
    if answer.status != 200:
        answer.problem()
