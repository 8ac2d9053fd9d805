"""The OpenAPI document: valid, complete, and its pages from our own origin."""

import json
import re
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

HTML: Any = {"HTTP_ACCEPT": "text/html,*/*;q=0.8"}


@pytest.fixture(scope="module")
def document():
    response = Client().get("/schema/")
    assert response["Content-Type"].startswith("application/json")
    return response.json()


def operations(document):
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_it_is_valid_without_a_warning(tmp_path):
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yml"))


def test_every_route_is_in_it(document):
    found = {(method, path) for method, path, _ in operations(document)}
    verbs = (
        "register", "send_message", "block_user", "create_group", "add_user_to_group",
        "remove_user_from_group", "send_message_to_group", "get_messages", "login", "logout",
        "unblock_user", "set_group_role",
    )  # fmt: skip
    assert found >= {("post", f"/{verb}") for verb in verbs}
    reads = (
        "/", "/users/me/", "/users/{id}/", "/chats/", "/chats/{id}/", "/chats/{chat_id}/messages/",
        "/groups/", "/groups/{id}/", "/groups/{id}/members/", "/blocks/", "/healthz", "/readyz", "/metrics",
    )  # fmt: skip
    assert found >= {("get", path) for path in reads}
    assert not [found for found in found if found[0] not in {"get", "post"}]


def test_every_refusal_has_the_one_shape(document):
    for method, path, operation in operations(document):
        refusals = {
            status: answer
            for status, answer in operation["responses"].items()
            if status == "default" or status >= "4"
        }
        shared = document["components"]["responses"]
        refusals = {
            status: shared[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
            for status, answer in refusals.items()
        }
        assert "default" in refusals
        for status, answer in refusals.items():
            shape = answer["content"]["application/json"]["schema"]
            # /readyz says the states beside the errors.
            name = "NotReady" if (path, status) == ("/readyz", "503") else "Errors"
            assert shape == {"$ref": f"#/components/schemas/{name}"}, (method, path, status)
            assert set(document["components"]["schemas"][name]["properties"]) >= {"type", "errors"}


def test_what_needs_a_token_says_so(document):
    assert document["components"]["securitySchemes"]["token"] | {"description": ""} == {
        "type": "http", "scheme": "bearer", "description": "",
    }  # fmt: skip
    open_to_all = {"/", "/register", "/login", "/healthz", "/readyz", "/metrics"}
    for _, path, operation in operations(document):
        needs = {"token": []} in operation.get("security", [])
        assert needs == (path not in open_to_all), path
        assert ("401" in operation["responses"]) == (needs or path == "/login"), path


def test_it_comes_as_yaml_to_who_asks_and_as_json_to_all_others(document):
    assert b"openapi: 3" in Client().get("/schema/", HTTP_ACCEPT="application/yaml").content
    for accept in ("*/*", "application/json", HTML["HTTP_ACCEPT"]):
        assert Client().get("/schema/", HTTP_ACCEPT=accept).json() == document
    refused = Client().get("/schema/", HTTP_ACCEPT="image/png")
    assert (refused.status_code, refused["Content-Type"]) == (406, "application/json")


def test_its_pages_take_everything_from_our_own_origin(client):
    response = client.get("/docs/", **HTML)
    assert response.status_code == 200
    page = response.content.decode()
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert links
    for link in links:
        assert link.startswith(("/static/", "/docs/?script="))
        assert client.get(link).status_code == 200


@pytest.mark.django_db
def test_neither_asks_who_reads_it(django_assert_num_queries):
    with django_assert_num_queries(0):
        for path in ("/schema/", "/docs/"):
            assert Client().get(path, HTTP_AUTHORIZATION="Bearer x", **HTML).status_code == 200


def test_every_body_that_is_sent_or_answered_has_a_sample(document):
    without = []
    for method, path, operation in operations(document):
        bodies = {"request": operation.get("requestBody", {})} | {
            status: answer for status, answer in operation["responses"].items() if status < "4"
        }
        without += [
            f"{method} {path} {which}"
            for which, body in bodies.items()
            for kind, said in body.get("content", {}).items()
            if kind == "application/json" and not said.get("examples")
        ]
    assert without == []


def test_every_sample_is_of_its_schema(document):
    registry = Registry().with_resource("/", DRAFT202012.create_resource(document))
    wrong = []
    for method, path, operation in operations(document):
        shared = document["components"]["responses"]
        answers = [
            shared[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
            for answer in operation["responses"].values()
        ]
        for body in [operation.get("requestBody", {}), *answers]:
            said = body.get("content", {}).get("application/json")
            if said is None:
                continue
            schema = json.loads(json.dumps(said["schema"]).replace('"#/', '"/#/'))
            validator = Draft202012Validator(schema, registry=registry)
            wrong += [
                (method, path, name, error.message)
                for name, sample in said.get("examples", {}).items()
                for error in validator.iter_errors(sample["value"])
            ]
    assert wrong == []
