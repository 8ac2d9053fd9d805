"""The OpenAPI document: every route's errors in the one shape, and the verbs' samples."""

import inspect
from typing import Any

from drf_spectacular.openapi import AutoSchema as SpectacularAutoSchema
from drf_spectacular.utils import (
    Direction,
    OpenApiExample,
    OpenApiResponse,
    extend_schema_serializer,
)
from rest_framework import serializers
from rest_framework.exceptions import (
    APIException,
    AuthenticationFailed,
    MethodNotAllowed,
    NotAcceptable,
    NotAuthenticated,
    ParseError,
    UnsupportedMediaType,
)

from common.errors import BodyTooLarge, DatabaseUnavailable, NotFound
from common.limits import Throttled, limit_of
from common.parsers import JSONParser
from common.views import Verb


class ErrorSerializer(serializers.Serializer[Any]):
    """One thing that was wrong."""

    code = serializers.CharField(help_text="Stable, for programs.")
    detail = serializers.CharField(help_text="A sentence that a person can act on.")
    attr = serializers.CharField(allow_null=True, help_text="The field at fault, null for none.")


@extend_schema_serializer(component_name="Errors")
class ErrorsSerializer(serializers.Serializer[Any]):
    """What every error answers."""

    type = serializers.ChoiceField(choices=["validation_error", "client_error", "server_error"])
    errors = ErrorSerializer(many=True)  # type: ignore[assignment]  # as DRF's own


WHATEVER = (
    ParseError, NotFound, MethodNotAllowed, NotAcceptable, BodyTooLarge, UnsupportedMediaType,
)  # fmt: skip
INVALID = OpenApiExample(
    "invalid",
    {
        "type": "validation_error",
        "errors": [{"code": "required", "detail": "This field is required.", "attr": "user_id"}],
    },
)


LIMIT_HEADERS = {
    "Retry-After": ("integer", "Seconds until the same request may be sent again.", 2),
    "RateLimit-Policy": ("string", "The limit: its name, quota, window.", '"sends";q=300;w=60'),
    "RateLimit": ("string", "What is left, and in how many seconds more.", '"sends";r=0;t=2'),
}
"""What a 429 says besides its body, as draft-ietf-httpapi-ratelimit-headers-10 has it."""


def problem(refused: type[APIException]) -> tuple[str, OpenApiExample]:
    """Return a refusal's code and what it looks like as an answer."""
    code = str(refused.default_code)
    detail = str(refused.default_detail)
    for name, value in {"method": "PUT", "media_type": "text/plain"}.items():
        detail = detail.replace("{" + name + "}", value)
    kind = "server_error" if refused.status_code >= 500 else "client_error"  # noqa: PLR2004
    body = {
        "type": kind,
        "errors": [{"code": code, "detail": detail, "attr": getattr(refused, "field", None)}],
    }
    return code, OpenApiExample(code, body)


def refusal(
    *refused: type[APIException], invalid: bool = False, about: str = ""
) -> OpenApiResponse:
    """Return an error answer, for the `responses` of `extend_schema`.

    It names the code of each refusal and shows the answer; `invalid` adds those of fields.
    """
    found = dict(problem(each) for each in refused)
    says = [f"`{code}`: {example.value['errors'][0]['detail']}" for code, example in found.items()]
    if invalid:
        says.insert(0, "A field is missing or wrong: `attr` names it, `code` says what is wrong.")
    examples = [*([INVALID] if invalid else []), *found.values()]
    return OpenApiResponse(
        ErrorsSerializer, description="\n\n".join([about, *says]).strip(), examples=examples
    )


def share_answers(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Put refusals that several routes have alike into `components` (a hook of drf-spectacular)."""
    shared: dict[str, Any] = {}
    for methods in result["paths"].values():
        for operation in methods.values():
            operation["responses"] = dict(sorted(operation["responses"].items()))
            for status, answer in operation["responses"].items():
                media = answer.get("content", {}).get("application/json", {})
                if status != "default" and status < "4":
                    continue
                name = "".join(media.get("examples", {"Refused": None}))
                name = "AnyRequest" if status == "default" else name
                if status == "429":
                    answer["headers"] = {
                        header: {"schema": {"type": kind}, "description": text, "example": sample}
                        for header, (kind, text, sample) in LIMIT_HEADERS.items()
                    }
                # Two that differ in what they say about the same codes stay where they are.
                if shared.setdefault(name, answer) == answer:
                    operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}
    result["components"]["responses"] = dict(sorted(shared.items()))
    return result


class AutoSchema(SpectacularAutoSchema):
    """drf-spectacular's, which adds what every route may answer and the view's `sample`."""

    def get_operation_id(self) -> str:
        """Return the verb itself, where the route is one."""
        return self.path.strip("/") if isinstance(self.view, Verb) else super().get_operation_id()

    def get_description(self) -> str:  # type: ignore[override]  # DRF's own has more
        """Return what the verb's class says of it."""
        if isinstance(self.view, Verb):
            return inspect.getdoc(type(self.view)) or ""
        return super().get_description()

    def get_tags(self) -> list[str]:
        """Return the room that the route belongs to; what belongs to none is the service's."""
        room = type(self.view).__module__.partition(".")[0]
        return ["service" if room == "config" else room]

    def map_parsers(self) -> list[str]:
        """Return JSON alone: forms are taken from the browsable API's own pages."""
        return [JSONParser.media_type]

    def _get_examples(
        self, serializer: Any, direction: Direction, *args: Any, **kwargs: Any
    ) -> Any:
        """Add the sample body of a verb to what its serializer shows."""
        found = super()._get_examples(serializer, direction, *args, **kwargs)  # type: ignore[no-untyped-call]
        sample = getattr(self.view, "sample", None)
        if direction == "request" and sample and self.method == "POST":
            return {"a_body": {"value": sample, "summary": "A body"}}
        return found

    def _get_response_bodies(self, direction: Direction = "response") -> Any:
        answers = super()._get_response_bodies(direction)
        if direction != "response":
            return answers
        common: dict[str, OpenApiResponse] = {
            "default": refusal(*WHATEVER, about="What any request may be refused for."),
        }
        if self.method == "POST" or self._is_list_view() or self.get_override_parameters():
            common["400"] = refusal(invalid=True)
        if {} not in self.get_auth():
            common["401"] = refusal(NotAuthenticated, AuthenticationFailed)
        if "{" in self.path:
            common["404"] = refusal(NotFound)
        if limit_of(self.view, self.method) is not None:
            common["429"] = refusal(Throttled)
        if not getattr(self.view, "asks_nothing", False):
            common["503"] = refusal(DatabaseUnavailable)
        for status, answer in common.items():
            if status not in answers:
                answers[status] = self._get_response_for_code(answer, status)  # type: ignore[no-untyped-call]
        return answers
