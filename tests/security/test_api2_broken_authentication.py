"""API2:2023. Only a token or a session that we gave lets anybody in, and it ends when told to."""

from typing import Any

import psycopg
import pytest
import redis

from tests.http import ABSENT, Person, Server

FORGED = ["", "x", "null", "undefined", "0", "Bearer", "../../etc/passwd", "' OR 1=1 --", "a" * 43]
# A JSON web token that says it needs no signature, for a library that would believe it.
ID = "01980f3e-7b1c-7c3a-9d55-0123456789ab"
UNSIGNED = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."


def needs_token(operations: list[tuple[str, str, Any]]) -> list[tuple[str, str]]:
    return [
        (method, path.format(id=ID, chat_id=ID, year="2026", day="001", hour="00"))
        for method, path, operation in operations
        if {"token": []} in operation.get("security", [])
    ]


def test_no_route_that_needs_a_token_answers_without_a_good_one(
    server: Server, ann: Person, operations: list[tuple[str, str, Any]]
) -> None:
    routes = needs_token(operations)
    assert len(routes) > 15
    for method, path in routes:
        body: Any = {} if method == "POST" else ABSENT
        for token in (None, *FORGED[1:], UNSIGNED, ann.token[:-1], f"{ann.token}x", ann.token[1:]):
            answer = server.call(method, path, token=token, json_body=body)
            assert answer.status == 401, (method, path, token, answer)
            assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "header",
    [
        "{}", "Token {}", "Basic {}", "Bearer: {}", "Bearer {} x", 'Bearer "{}"', "Bearer  {},{}",
        "Digest {}", "JWT {}",
    ],
)  # fmt: skip
def test_a_good_token_counts_in_its_own_header_alone(
    server: Server, ann: Person, header: str
) -> None:
    answer = server.call(
        "GET", "/users/me/", headers={"authorization": header.format(ann.token, ann.token)}
    )
    answer.refused(401)


def test_a_token_elsewhere_lets_nobody_in(server: Server, ann: Person) -> None:
    for query in ("token", "access_token", "authorization"):
        server.call("GET", "/users/me/", params={query: ann.token}).refused(401)
    for cookie in ("token", "sessionid", "__Host-sessionid", "Authorization"):
        server.call("GET", "/users/me/", headers={"cookie": f"{cookie}={ann.token}"}).refused(401)
    server.call(
        "POST", "/get_messages", json_body={"token": ann.token, "authorization": ann.token}
    ).refused(401)


def test_a_forged_session_cookie_lets_nobody_in(server: Server) -> None:
    for value in ("x", "a" * 32, "e30:1abcde:forged", "../../x", "' OR 1=1 --"):
        for name in ("sessionid", "__Host-sessionid"):
            answer = server.call("GET", "/users/me/", headers={"cookie": f"{name}={value}"})
            answer.refused(401)
            page = server.call(
                "GET", "/admin/", headers={"cookie": f"{name}={value}", "accept": "text/html"}
            )
            assert page.status == 302, page
            assert page.headers["location"].startswith("/admin/login/")


def test_an_unknown_name_and_a_wrong_password_are_answered_alike(server: Server) -> None:
    ann = server.person("ann", password="a long sentence")
    wrong = server.post("/login", username=ann.username, password="another sentence")
    unknown = server.post("/login", username=f"{ann.username}x", password="another sentence")
    assert wrong.status == unknown.status == 401
    assert wrong.content == unknown.content
    without = server.person("ben")
    assert server.post("/login", username=without.username, password="").status == 400
    assert server.post("/login", username=without.username, password="x").content == wrong.content


@pytest.mark.parametrize("password", ["password", "12345678", "short", "aaaaaaaa", "qwerty123"])
def test_a_password_that_everybody_guesses_is_refused(server: Server, password: str) -> None:
    server.post("/register", username=f"u-{password}", password=password).refused(400)


def test_a_password_is_not_its_owners_name(server: Server) -> None:
    server.post(
        "/register", username="margaret-hamilton", password="margaret-hamilton"
    ).refused(400, attr="password")  # fmt: skip


def test_a_token_ends_with_its_logout_and_no_other_does(server: Server) -> None:
    ann = server.person("ann", password="a long sentence")
    second = server.post("/login", username=ann.username, password="a long sentence").ok()["token"]
    assert second != ann.token
    server.call("POST", "/logout", token=second, json_body={}).ok(204)
    server.get("/users/me/", second).refused(401)
    ann.get("/users/me/").ok()


def test_who_reads_the_database_or_the_cache_finds_no_token(
    ann: Person, ben: Person, database_url: str, redis_url: str
) -> None:
    ann.send(ben, "hello").ok(201)
    ben.poll().ok()
    token = ann.token
    with psycopg.connect(database_url) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        for (table,) in tables:
            found = connection.execute(
                psycopg.sql.SQL("SELECT count(*) FROM {} AS t WHERE t::text LIKE %s").format(
                    psycopg.sql.Identifier(table)
                ),
                (f"%{token}%",),
            ).fetchone()
            assert found == (0,), table
    cache = redis.Redis.from_url(redis_url)
    for key in cache.scan_iter(count=1000):
        assert token.encode() not in key
        assert token.encode() not in (cache.dump(key) or b"")
