"""Whether answers are what the OpenAPI document announces: status, body, and each error's code."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

if TYPE_CHECKING:
    from tests.http import Answer

# Codes of fields are DRF's and the validators' own; docs/api.md lists them for all routes alike.
FIELD_CODES: Final = re.compile(r"`([a-z_]+)`")


class Described:
    """A server's OpenAPI document, held against what the server answers."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.registry: Registry[Any] = Registry().with_resource(
            "", DRAFT202012.create_resource(document)
        )
        self.paths = [
            (re.compile(re.sub(r"\\{[^}]+\\}", "[^/]+", re.escape(path))), methods)
            for path, methods in document["paths"].items()
        ]
        # The path without a parameter comes first: /users/me/ is no user's id.
        self.paths.sort(key=lambda item: item[0].pattern.count("[^/]+"))

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """Return what the document says of a request, None when it has no such route."""
        for pattern, methods in self.paths:
            if pattern.fullmatch(path):
                found: dict[str, Any] | None = methods.get(method.lower())
                return found
        return None

    def check(self, method: str, path: str, answer: Answer) -> None:
        """Demand that the document announces this answer."""
        operation = self.operation(method, path)
        if operation is None:
            return
        responses = {code: self.resolved(said) for code, said in operation["responses"].items()}
        status = str(answer.status)
        refused = answer.status >= 400
        assert status in responses or refused, f"{method} {path} announces no {status}: {answer}"
        said = [responses[name] for name in (status, "default") if name in responses]
        content = said[0].get("content", {})
        if not content:
            assert not answer.content, f"{method} {path} announces no body of a {status}"
        if answer.is_json and "application/json" in content:
            self.check_body(content["application/json"]["schema"], answer, method, path)
        if refused and answer.is_json and answer.body["type"] != "validation_error":
            announced = {
                error["code"]
                for each in said
                for example in each["content"]["application/json"].get("examples", {}).values()
                for error in example["value"]["errors"]
            }
            for error in answer.body["errors"]:
                assert error["code"] in announced, f"{method} {path} announces no {error}"

    def check_body(self, schema: dict[str, Any], answer: Answer, method: str, path: str) -> None:
        """Demand that a body is of its schema."""
        # References are to the whole document.
        validator = Draft202012Validator(
            json.loads(json.dumps(schema).replace('"#/', '"/#/')),
            registry=self.registry.with_resource("/", DRAFT202012.create_resource(self.document)),
        )
        errors = [error.message for error in validator.iter_errors(answer.body)]
        assert not errors, f"{method} {path} {answer.status}: {errors[:3]} in {answer}"

    def resolved(self, said: dict[str, Any]) -> dict[str, Any]:
        """Return what a response is, also where it is shared by several routes."""
        if "$ref" not in said:
            return said
        name = said["$ref"].rpartition("/")[2]
        found: dict[str, Any] = self.document["components"]["responses"][name]
        return found
