"""How values are written."""

import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import orjson
import pytest
from django.utils.functional import lazystr
from rest_framework.exceptions import ErrorDetail
from rest_framework.serializers import Serializer
from rest_framework.utils.serializer_helpers import ReturnDict

from common.renderers import JSONRenderer, dumps


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), '"2026-01-02T03:04:05.000000Z"'),
        (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), '"2026-01-02T03:04:05.000006Z"'),
        (
            datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=5))),
            '"2026-01-01T22:00:00.000000Z"',
        ),
        (date(2026, 1, 2), '"2026-01-02"'),
        (time(3, 4, 5), '"03:04:05"'),
        (timedelta(minutes=1), '"60.0"'),
        (Decimal("1.20"), "1.2"),  # as DRF; a serializer's field has made it a text before
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (lazystr("text"), '"text"'),
        (ErrorDetail("text", "code"), '"text"'),
        (ReturnDict({"a": 1}, serializer=Serializer()), '{"a":1}'),
        ((1, 2), "[1,2]"),
        ({1: "a"}, '{"1":"a"}'),
        ("é🦢\u2028", '"é🦢\u2028"'),
        (None, "null"),
    ],
)
def test_a_value_is_written(value, written):
    assert dumps(value).decode() == written


def test_ready_json_goes_through_untouched():
    ready = orjson.Fragment(b'{"text":  "as it is"}')
    assert dumps({"messages": [ready]}) == b'{"messages":[{"text":  "as it is"}]}'


def test_what_can_not_be_written_is_a_defect():
    with pytest.raises(TypeError):
        dumps({"a": object()})


def test_no_data_is_no_body():
    assert JSONRenderer().render(None) == b""
    assert JSONRenderer().render({}) == b"{}"
