"""`/register`, `/login`, `/logout`, and looking users up."""

import secrets
from functools import partial
from typing import Any

import pytest

from tests.http import USER_KEYS, Person, Server, at_once, check_id

PASSWORD = "correct horse battery 7"
KEYS = USER_KEYS | {"token"}


def fresh() -> str:
    return f"someone-{secrets.token_hex(6)}"


def test_it_works_with_a_name_alone(server: Server) -> None:
    name = fresh()
    body = server.post("/register", username=name).ok(201)
    assert set(body) == KEYS
    check_id(body["user_id"])
    assert body["username"] == name
    assert isinstance(body["display_name"], str)
    assert body["token"]
    me = server.get("/users/me/", body["token"]).ok()
    assert me["user_id"] == body["user_id"]


def test_the_display_name_is_kept_as_given(server: Server) -> None:
    body = server.post("/register", username=fresh(), display_name="Zoë 🦊").ok(201)
    assert body["display_name"] == "Zoë 🦊"


def test_a_taken_name_is_a_409(server: Server, ann: Person) -> None:
    server.post("/register", username=ann.username).refused(409, attr="username")
    server.post("/register", username=ann.username.upper()).refused(409)


def test_one_of_many_at_once_gets_a_name(server: Server) -> None:
    name = fresh()
    spellings = [name, name.upper(), name.title(), name.swapcase()] * 5
    answers = at_once([partial(server.post, "/register", username=n) for n in spellings])
    assert sorted(answer.status for answer in answers) == [201] + [409] * 19
    for answer in answers:
        if answer.status == 409:
            answer.refused(409)


def test_without_a_password_the_token_is_the_only_way_in(server: Server, ann: Person) -> None:
    server.post("/login", username=ann.username, password=PASSWORD).refused(401)
    server.post("/login", username=ann.username, password="").problem()
    ann.get("/users/me/").ok()


def test_login_gives_a_new_token(server: Server) -> None:
    ann = server.person("ann", PASSWORD)
    body = server.post("/login", username=ann.username, password=PASSWORD).ok(200)
    assert set(body) == KEYS
    assert {**body, "token": ""} == {
        "user_id": ann.user_id,
        "username": ann.username,
        "display_name": ann.display_name,
        "token": "",
    }
    assert body["token"] != ann.token
    for token in (ann.token, body["token"]):
        assert server.get("/users/me/", token).ok()["user_id"] == ann.user_id


def test_a_wrong_password_and_an_unknown_name_get_the_same_401(server: Server) -> None:
    ann = server.person("ann", PASSWORD)
    wrong = server.post("/login", username=ann.username, password=PASSWORD + "x")
    unknown = server.post("/login", username=fresh(), password=PASSWORD)
    wrong.refused(401)
    unknown.refused(401)
    assert wrong.content == unknown.content
    # Each request has an id of its own, whatever came of it.
    drop = {"date", "content-length", "x-request-id"}
    assert {k: v for k, v in wrong.headers.items() if k not in drop} == {
        k: v for k, v in unknown.headers.items() if k not in drop
    }
    assert "www-authenticate" in wrong.headers


@pytest.mark.parametrize(
    "fields", [{}, {"username": "x"}, {"password": "x"}, {"username": 5, "password": 5}]
)
def test_login_needs_both(server: Server, fields: dict[str, Any]) -> None:
    server.post("/login", **fields).refused(400)


def test_logout_revokes_this_token_alone(server: Server) -> None:
    ann = server.person("ann", PASSWORD)
    other = server.post("/login", username=ann.username, password=PASSWORD).ok()["token"]
    answer = ann.post("/logout")
    assert answer.status == 204
    assert answer.content == b""
    server.get("/users/me/", other).ok()


def test_a_user_is_looked_up_by_id(ann: Person, ben: Person) -> None:
    body = ann.get(f"/users/{ben.user_id}/").ok()
    assert body == {
        "user_id": ben.user_id,
        "username": ben.username,
        "display_name": ben.display_name,
    }


def test_a_user_who_blocks_is_still_looked_up(ann: Person, ben: Person) -> None:
    ben.block(ann).ok(201)
    ann.get(f"/users/{ben.user_id}/").ok()


def test_me_is_oneself(ann: Person) -> None:
    body = ann.get("/users/me/").ok()
    assert set(body) >= USER_KEYS
    assert body["user_id"] == ann.user_id
    assert "token" not in body
    assert "password" not in body


@pytest.mark.parametrize(
    "unknown",
    ["b9ee5a9e-32e5-4d43-9f92-f8ba3055e8f7", "00000000-0000-0000-0000-000000000000", "x", "me2"],
)
def test_an_unknown_user_is_a_404(ann: Person, unknown: str) -> None:
    ann.get(f"/users/{unknown}/").refused(404)


def test_nobody_lists_users(server: Server, ann: Person) -> None:
    for path in ("/users/", "/users"):
        answer = ann.get(path)
        assert answer.status in {403, 404, 405}, answer
        answer.problem()


@pytest.mark.parametrize("weak", ["", "x", "12345678901", "password"])
def test_a_password_that_anyone_guesses_is_a_400(server: Server, weak: str) -> None:
    server.post("/register", username=fresh(), password=weak).refused(400, attr="password")


def test_a_refused_password_leaves_the_name_free(server: Server) -> None:
    name = fresh()
    server.post("/register", username=name, password="x").refused(400)
    server.post("/register", username=name, password=PASSWORD).ok(201)


@pytest.mark.parametrize("name", ["a" * 5000, "a b\n", " ", "\u200b", "a/b", "<script>"])
def test_an_odd_name_never_breaks_the_server(server: Server, name: str) -> None:
    answer = server.post("/register", username=name)
    if answer.status != 201:
        assert answer.status in {400, 409}, answer
        answer.problem()


@pytest.mark.parametrize("name", ["名前", "Пётр", "José", "עברית", "नाम"])
def test_names_of_all_languages_are_names(server: Server, name: str) -> None:
    username = name + secrets.token_hex(4)
    body = server.post("/register", username=username, password=PASSWORD).ok(201)
    server.post("/login", username=body["username"], password=PASSWORD).ok()
    server.post("/login", username=username, password=PASSWORD).ok()


def test_a_password_of_any_characters_works(server: Server) -> None:
    for secret in (
        "  spaces around it  ",
        "пароль-длинный-🦊",
        "tab\tand\nnewline 99",
        "e\u0301" * 8,
    ):
        name = fresh()
        server.post("/register", username=name, password=secret).ok(201)
        server.post("/login", username=name, password=secret).ok()
        server.post("/login", username=name, password=secret.strip() + "y").refused(401)
    name = fresh()
    server.post("/register", username=name, password="  spaces around it  ").ok(201)
    server.post("/login", username=name, password="spaces around it").refused(401)
