"""What a serializer field takes is what the contract says, and nothing is made of another type."""

import string
from typing import Any
from uuid import UUID

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from common.fields import StrictCharField, StrictIntegerField, StrictUUIDField, UUIDListField

ID = "01980f3e-7b1c-7c3a-9d55-0123456789ab"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def run(field, value):
    """Return ("ok", value) or ("refused", codes)."""
    try:
        return "ok", field.run_validation(value)
    except ValidationError as error:
        return "refused", error.get_codes()


def is_carried(text):
    return "\x00" not in text and not any(0xD800 <= ord(c) <= 0xDFFF for c in text)


@given(st.text(alphabet=st.characters(), min_size=1))
def test_a_text_comes_through_as_it_is(text):
    outcome = run(StrictCharField(), text)
    assert outcome == ("ok", text) if is_carried(text) else outcome[0] == "refused"


@pytest.mark.parametrize("text", [" ", "\n", "\u3000", " a ", "e\u0301", "\u00e9", "\U0010ffff"])
def test_white_space_and_forms_are_kept(text):
    assert run(StrictCharField(), text) == ("ok", text)


@given(json_values)
def test_a_text_field_takes_texts_alone(value):
    if not isinstance(value, str):
        assert run(StrictCharField(), value)[0] == "refused"


@pytest.mark.parametrize("text", ["a\x00", "\ud800", "a\udfffb"])
def test_what_no_text_can_carry_is_refused(text):
    assert run(StrictCharField(), text)[0] == "refused"


def test_length_is_counted_in_code_points():
    field = StrictCharField(max_length=3)
    assert run(field, "🦢🦢🦢") == ("ok", "🦢🦢🦢")
    assert run(field, "🦢🦢🦢🦢") == ("refused", ["max_length"])


@given(st.uuids())
def test_an_id_is_taken_in_its_canonical_form(value):
    assert run(StrictUUIDField(), str(value)) == ("ok", value)
    assert run(StrictUUIDField(), str(value).upper()) == ("ok", value)


@given(json_values | st.text(alphabet=string.hexdigits + "-{}", min_size=30, max_size=40))
def test_nothing_else_is_an_id(value):
    outcome, taken = run(StrictUUIDField(), value)
    assert outcome == "refused" or (isinstance(value, str) and str(taken) == value.lower())


@pytest.mark.parametrize(
    "value",
    [
        UUID(ID).hex,
        f"{{{ID}}}",
        f"urn:uuid:{ID}",
        f" {ID}",
        f"{ID}\n",
        UUID(ID).int,
        ID[:-1] + "\uff41",
        ID[:-1] + "g",
        "",
    ],
)
def test_odd_forms_of_an_id_are_refused(value):
    assert run(StrictUUIDField(), value) == ("refused", ["invalid"])


def test_an_id_is_written_in_its_canonical_form():
    assert StrictUUIDField().to_representation(UUID(ID)) == ID


@given(st.integers())
def test_a_whole_number_is_a_whole_number(value):
    assert run(StrictIntegerField(), value) == ("ok", value)


@given(json_values)
def test_nothing_else_is_a_whole_number(value):
    if type(value) is not int:
        assert run(StrictIntegerField(), value)[0] == "refused"


def test_bounds_hold():
    field = StrictIntegerField(min_value=1, max_value=500)
    assert run(field, 500) == ("ok", 500)
    assert run(field, 501) == ("refused", ["max_value"])
    assert run(field, 0) == ("refused", ["min_value"])


def test_a_list_of_ids_takes_ids_alone():
    assert run(UUIDListField(), [ID]) == ("ok", [UUID(ID)])
    assert run(UUIDListField(), []) == ("ok", [])
    for value in (ID, {"a": ID}, 5, True):
        assert run(UUIDListField(), value)[0] == "refused"
    assert run(UUIDListField(), [ID, 5])[0] == "refused"


class Form(serializers.Serializer[Any]):
    number = StrictIntegerField(required=False)
    ids = UUIDListField(required=False)
    name = StrictCharField(required=False, allow_null=True)


def test_a_browser_s_form_has_texts_alone_and_they_are_read():
    form = Form(data=QueryDict(f"number=12&ids={ID},%20{ID}%0A&name=x"))
    assert form.is_valid(), form.errors
    assert form.validated_data == {"number": 12, "ids": [UUID(ID), UUID(ID)], "name": "x"}


def test_an_empty_field_of_a_form_is_one_not_given():
    form = Form(data=QueryDict("number=&ids=&name="))
    assert form.is_valid(), form.errors
    assert form.validated_data in ({"ids": [], "name": None}, {"ids": []})


def test_a_form_s_nonsense_is_refused():
    form = Form(data=QueryDict("number=1.5&ids=x"))
    assert not form.is_valid()
    assert set(form.errors) == {"number", "ids"}
