"""The API root, the OpenAPI document and pages, health, readiness, metrics, the admin."""

import httpx
import pytest

from tests.http import Person, Server


def test_the_root_lists_the_routes_in_json(server: Server) -> None:
    answer = server.get("/")
    assert answer.status == 200
    assert answer.is_json
    for route in ("send_message", "get_messages", "create_group"):
        assert route in answer.content.decode()


def test_the_root_is_a_page_in_a_browser(server: Server) -> None:
    answer = server.call("GET", "/", headers={"accept": "text/html,*/*;q=0.8"})
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")


def test_the_document_names_every_route(server: Server) -> None:
    answer = server.call("GET", "/schema/", headers={"accept": "application/json"})
    assert answer.status == 200, answer
    paths = answer.body["paths"]
    for route in (
        "/register",
        "/send_message",
        "/block_user",
        "/create_group",
        "/add_user_to_group",
        "/remove_user_from_group",
        "/send_message_to_group",
        "/get_messages",
        "/login",
        "/logout",
        "/unblock_user",
        "/set_group_role",
        "/report_message",
        "/report_user",
    ):
        assert set(paths[route]) & {"post"}, route
    for start in ("/users/me/", "/chats/", "/groups/", "/blocks/", "/reports/"):
        assert start in paths
    assert any(path.startswith("/chats/{") and path.endswith("/messages/") for path in paths)


def test_the_document_is_there_for_programs_of_any_kind(server: Server) -> None:
    for accept in ("*/*", "application/vnd.oai.openapi"):
        assert server.call("GET", "/schema/", headers={"accept": accept}).status == 200


def test_the_docs_are_a_page(server: Server) -> None:
    answer = server.call("GET", "/docs/", headers={"accept": "text/html"})
    assert answer.status == 200
    assert "text/html" in answer.headers["content-type"]


def test_healthz_and_readyz(server: Server) -> None:
    assert server.get("/healthz").status == 200
    ready = server.get("/readyz")
    assert ready.status == 200, ready
    assert ready.is_json
    text = ready.content.decode().lower()
    for dependency in ("database", "cache"):
        assert dependency in text


def test_metrics_are_prometheus(server: Server, ann: Person) -> None:
    ann.poll().ok()
    answer = server.call("GET", "/metrics", headers={"accept": "*/*"})
    assert answer.status == 200
    assert (
        "text/plain" in answer.headers["content-type"]
        or "openmetrics" in answer.headers["content-type"]
    )
    assert b"# TYPE" in answer.content


def test_the_admin_asks_for_a_login(server: Server) -> None:
    answer = server.call("GET", "/admin/", headers={"accept": "text/html"})
    assert answer.status == 302
    assert "login" in answer.headers["location"]


def test_in_a_browser_a_refusal_is_a_page(server: Server) -> None:
    for path in ("/nowhere", "/chats/"):
        answer = server.call("GET", path, headers={"accept": "text/html"})
        assert answer.status in {401, 403, 404}
        assert "text/html" in answer.headers["content-type"]


@pytest.mark.parametrize("path", ["/send_message", "/get_messages", "/register"])
def test_no_redirects(server: Server, path: str) -> None:
    for accept in ("application/json", "text/html"):
        with httpx.Client(base_url=server.base_url, follow_redirects=False) as client:
            response = client.get(path, headers={"accept": accept})
            assert not response.is_redirect, response.headers


def test_head_and_options_never_break(server: Server, ann: Person) -> None:
    for path in (
        "/",
        "/send_message",
        "/get_messages",
        "/chats/",
        "/users/me/",
        "/nowhere",
        "/healthz",
    ):
        for method in ("HEAD", "OPTIONS", "TRACE"):
            answer = server.call(method, path, token=ann.token)
            assert answer.status < 500, (method, path, answer)
