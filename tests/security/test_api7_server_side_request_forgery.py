"""API7:2023. The server asks only the addresses in its settings: no request names another one."""

import json
from typing import Any

from tests.http import Person, Server


def test_no_route_takes_an_address(operations: list[tuple[str, str, Any]], document: Any) -> None:
    schemas = document["components"]["schemas"]
    for method, path, operation in operations:
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        name = body.get("schema", {}).get("$ref", "").rpartition("/")[2]
        taken = json.dumps(schemas[name]["properties"]) if name else ""
        taken += json.dumps(operation.get("parameters", []))
        for kind in ("uri", "hostname", "ipv4", "ipv6", "iri"):
            assert f'"format": "{kind}"' not in taken, (method, path)


def test_what_looks_like_an_address_is_text_and_nothing_else(ann: Person, ben: Person) -> None:
    for text in (
        "http://169.254.169.254/latest/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_",
    ):
        assert ann.send(ben, text).ok(201)["text"] == text


def test_an_absolute_request_target_is_not_fetched(server: Server) -> None:
    answer = server.call("GET", "/http://169.254.169.254/latest/")
    answer.refused(404)


def test_links_lead_to_the_host_that_was_asked_and_forged_ones_are_refused(
    server: Server, ann: Person, ben: Person
) -> None:
    for _ in range(2):
        ann.send(ann.server.person(), "x").ok(201)
    own = ann.get("/chats/", limit=1).ok()["next"]
    assert own.startswith(server.base_url)
    for header in ("x-forwarded-host", "x-host", "forwarded", "x-original-url", "x-rewrite-url"):
        forged = server.call(
            "GET",
            "/chats/?limit=1",
            token=ann.token,
            headers={header: "host=evil.example" if header == "forwarded" else "evil.example"},
        )
        assert forged.ok()["next"] == own
    assert b"evil" not in server.call(
        "GET", "/chats/?limit=1", token=ann.token, headers={"host": "evil.example"}
    ).content.replace(b"evil.example' to ALLOWED_HOSTS", b"")
