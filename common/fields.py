"""Serializer fields that take what the contract says and coerce nothing.

DRF's own fields turn 5 into "5", "5" into 5 and trim white space. Here a wrong type is a 400 and a
text comes through as it was sent.
"""

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.utils import html
from rest_framework.validators import (
    ProhibitSurrogateCharactersValidator as SurrogateValidator,
)

from common.errors import ERRORS_MAX
from common.ids import parse_id
from common.numbers import whole_number


class StrictCharField(serializers.CharField):
    """A JSON string, untrimmed, without U+0000 (DRF's validator) and lone surrogates.

    Its length is looked at first: DRF would try every other rule on a text that is too long.
    """

    default_error_messages = {
        "invalid": "This must be a text (a JSON string).",
        "surrogate_characters_not_allowed": "A text can't hold half a character (a surrogate).",
    }

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("trim_whitespace", False)
        super().__init__(**kwargs)
        # DRF's looks at each character in Python: 50 ms of a text of 1 MiB.
        self.validators = [
            one for one in self.validators if not isinstance(one, SurrogateValidator)
        ]

    def to_internal_value(self, data: Any) -> str:
        """Return the text; anything else is a 400."""
        if not isinstance(data, str):
            self.fail("invalid")
        self.check_length(data)
        try:
            data.encode()
        except UnicodeEncodeError:
            self.fail("surrogate_characters_not_allowed")
        return data

    def check_length(self, text: str) -> None:
        """Refuse a text that is too long before anything else is done with it."""
        if self.max_length is not None and len(text) > self.max_length:
            self.fail("max_length", max_length=self.max_length)


@extend_schema_field(OpenApiTypes.UUID)
class StrictUUIDField(serializers.Field[UUID, Any, str, Any]):
    """A UUID as a JSON string in the canonical form, with hyphens."""

    default_error_messages = {
        "invalid": "This must be an id, such as 01980f3e-7b1c-7c3a-9d55-0123456789ab.",
    }

    def to_internal_value(self, data: Any) -> UUID:
        """Return the UUID; anything else is a 400."""
        value = parse_id(data)
        if value is None:
            self.fail("invalid")
        return value

    def to_representation(self, value: UUID) -> str:
        """Return the canonical text."""
        return str(value)


class StrictIntegerField(serializers.IntegerField):
    """A JSON integer: not 1.0, not "1", not true."""

    default_error_messages = {"invalid": "This must be a whole number (a JSON integer)."}

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        """Return what was sent; an HTML form has texts only, so its digits are read here."""
        value = super().get_value(dictionary)
        if html.is_html_input(dictionary) and (number := whole_number(value)) is not None:
            return number
        return value

    def to_internal_value(self, data: Any) -> int:
        """Return the number; anything else is a 400."""
        # bool is a subclass of int, hence the exact type.
        if type(data) is not int:
            self.fail("invalid")
        return data


class QueryIntegerField(serializers.IntegerField):
    """A whole number in a query string, by the one rule of `whole_number`."""

    default_error_messages = {"invalid": "This must be a whole number, in digits."}

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        """Return what stands there; an empty text is no number, not one that was not given."""
        if self.field_name in dictionary:
            return dictionary[self.field_name]
        return serializers.empty

    def to_internal_value(self, data: Any) -> int:
        """Return the number; anything else is a 400."""
        number = whole_number(data)
        if number is None:
            self.fail("invalid")
        return number


SHOWN_CHARS = 40


class StrictChoiceField(serializers.ChoiceField):
    """A JSON string, one of a few; what is sent instead is answered back only where it is short."""

    def to_internal_value(self, data: Any) -> str:
        """Return the choice; anything else is a 400."""
        if not isinstance(data, str) or len(data) > SHOWN_CHARS:
            self.fail("invalid_choice", input="…")
        return str(super().to_internal_value(data))


class UUIDListField(serializers.ListField):
    """A list of ids; in an HTML form, ids with spaces, commas or line ends between them."""

    child = StrictUUIDField()

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("style", {"base_template": "textarea.html"})
        super().__init__(**kwargs)

    def run_child_validation(self, data: Any) -> list[UUID]:
        """Return the ids; a list that is too long is refused for that, else the first few faults.

        An error for each item would make an answer many times as long as the request.
        """
        if self.max_length is not None and len(data) > self.max_length:
            raise serializers.ValidationError(
                f"Ensure this field has no more than {self.max_length} elements.",
                code="max_length",
            )
        found: list[UUID] = []
        faults: dict[Any, Any] = {}
        for place, item in enumerate(data):
            try:
                found.append(self.child.run_validation(item))
            except serializers.ValidationError as error:
                faults[place] = error.detail
                if len(faults) == ERRORS_MAX:
                    break
        if faults:
            raise serializers.ValidationError(faults)
        return found

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        """Return what was sent, an HTML form's text as a list."""
        if not html.is_html_input(dictionary):
            return dictionary.get(self.field_name, serializers.empty)
        if self.field_name not in dictionary:
            return serializers.empty
        return [part for part in re.split(r"[\s,]+", dictionary[self.field_name]) if part]
