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

from common.parsers import JSONParser
from common.views import Verb


class ErrorSerializer(serializers.Serializer[Any]):
    """One thing that was wrong."""

    code = serializers.CharField(help_text="Stable, for programs.")
    detail = serializers.CharField(help_text="A sentence that a person can act on.")
    attr = serializers.CharField(allow_null=True, help_text="The field at fault, null for none.")


@extend_schema_serializer(
    component_name="Errors",
    examples=[
        OpenApiExample(
            "A field at fault",
            value={
                "type": "validation_error",
                "errors": [
                    {"code": "required", "detail": "This field is required.", "attr": "user_id"}
                ],
            },
        )
    ],
)
class ErrorsSerializer(serializers.Serializer[Any]):
    """What every error answers."""

    type = serializers.ChoiceField(choices=["validation_error", "client_error", "server_error"])
    errors = ErrorSerializer(many=True)  # type: ignore[assignment]  # as DRF's own


def refusal(description: str) -> OpenApiResponse:
    """Return an error answer, for the `responses` of `extend_schema`."""
    return OpenApiResponse(ErrorsSerializer, description=description)


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

    def get_examples(self) -> list[OpenApiExample]:
        """Return the sample body of a verb."""
        sample = getattr(self.view, "sample", None)
        if not sample or self.method != "POST":
            return []
        return [OpenApiExample("A body", value=sample, request_only=True)]

    def _get_response_for_code(
        self, serializer: Any, status_code: str, *args: Any, **kw: Any
    ) -> Any:
        """Return one answer; a refusal that names no body has the error shape."""
        if (
            status_code >= "4"
            and isinstance(serializer, OpenApiResponse)
            and serializer.response is None
        ):
            serializer = refusal(str(serializer.description))
        return super()._get_response_for_code(serializer, status_code, *args, **kw)  # type: ignore[no-untyped-call]

    def _get_response_bodies(self, direction: Direction = "response") -> Any:
        answers = super()._get_response_bodies(direction)
        if direction != "response":
            return answers
        common = {"default": "Any other refusal: wrong method, path, type or size of the body."}
        if self.method == "POST" or self._is_list_view() or self.get_override_parameters():
            common["400"] = "Something sent is malformed; `attr` names it."
        if {} not in self.get_auth():
            common["401"] = "No token, or one that is not valid."
        if "{" in self.path:
            common["404"] = "No such thing, or none that you may see."
        for status, description in common.items():
            if status not in answers:
                answers[status] = self._get_response_for_code(refusal(description), status)
        return answers
