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
        """Return the room that the route belongs to."""
        return [type(self.view).__module__.partition(".")[0]]

    def map_parsers(self) -> list[str]:
        """Return JSON alone: forms are taken from the browsable API's own pages."""
        return [JSONParser.media_type]

    def get_examples(self) -> list[OpenApiExample]:
        """Return the sample body of a verb."""
        sample = getattr(self.view, "sample", None)
        if not sample or self.method != "POST":
            return []
        return [OpenApiExample("A body", value=sample, request_only=True)]

    def _get_response_bodies(self, direction: Direction = "response") -> Any:
        answers = super()._get_response_bodies(direction)
        if direction != "response":
            return answers
        common = {"default": "Any other refusal: wrong method, path, type or size of the body."}
        if self.method == "POST" or self._is_list_view():
            common["400"] = "Something sent is malformed; `attr` names it."
        if {} not in self.get_auth():
            common["401"] = "No token, or one that is not valid."
        for status, description in common.items():
            if status not in answers:
                answers[status] = self._get_response_for_code(  # type: ignore[no-untyped-call]
                    refusal(description), status
                )
        return answers
