"""What may be sent: a JSON object in UTF-8, not too large. Everything else is a 4xx."""

from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError
from rest_framework.test import APIClient

from accounts.tests.factories import client_of, fault, make_user
from common.parsers import loads_object, read_limited

pytestmark = pytest.mark.django_db

PATH = "/block_user"


@pytest.fixture
def client(db):
    return client_of(make_user())


def send(client, body, content_type="application/json", **extra):
    return client.generic("POST", PATH, body, content_type=content_type, **extra)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"}",
        b"nonsense",
        b"{'user_id': 1}",
        b'{"user_id": NaN}',
        b'{"user_id": Infinity}',
        b'{"user_id": "\\ud800"}',
        b'{"user_id": "\xed\xa0\x80"}',
        b'{"user_id": "\xff"}',
        '{"user_id": "é"}'.encode("latin-1"),
        '{"user_id": "é"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"user_id": 1}',
        b'{"user_id": 1} x',
        b" ",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"[]",
        b'"text"',
        b"5",
        b"null",
        b"true",
    ],
)
def test_what_is_no_json_object_is_a_400(client, body):
    assert fault(send(client, body)) == (400, "parse_error", None)


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_an_empty_body_is_an_empty_object(client, body):
    assert fault(send(client, body)) == (400, "required", "user_id")
    assert fault(client.post(PATH)) == (400, "required", "user_id")


def test_of_a_doubled_field_the_last_counts(client):
    assert fault(send(client, b'{"user_id": 1, "user_id": null}')) == (400, "null", "user_id")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
    ],
)
def test_json_is_taken_by_any_of_its_names(client, content_type):
    assert fault(send(client, b"{}", content_type)) == (400, "required", "user_id")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "nonsense",
        "application/octet-stream",
    ],
)
def test_another_type_is_a_415(client, content_type):
    assert fault(send(client, b"user_id=1", content_type)) == (415, "unsupported_media_type", None)


def test_a_body_over_the_limit_is_a_413(client, settings):
    settings.BODY_MAX_BYTES = 100
    fits = b'{"user_id": "' + b"x" * 85 + b'"}'
    assert len(fits) == 100
    assert fault(send(client, fits)) == (400, "invalid", "user_id")
    assert fault(send(client, fits + b" ")) == (413, "body_too_large", None)


def test_it_is_refused_before_it_is_read(client, settings):
    settings.BODY_MAX_BYTES = 100
    response = send(client, b"{}", CONTENT_LENGTH="101")
    assert fault(response) == (413, "body_too_large", None)


def test_the_default_limit_takes_a_megabyte(client):
    body = b'{"user_id": "' + b"x" * (1_048_576 - 15) + b'"}'
    assert len(body) == 1_048_576
    assert fault(send(client, body)) == (400, "invalid", "user_id")
    assert fault(send(client, body + b" ")) == (413, "body_too_large", None)


def test_a_form_over_the_limit_is_a_413_too(settings):
    settings.BODY_MAX_BYTES = 100
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    browser = APIClient(HTTP_ACCEPT="text/html")
    browser.force_login(make_user("ada"))
    form = "application/x-www-form-urlencoded"
    response = browser.post(PATH, "user_id=" + "x" * 200, content_type=form)
    assert response.status_code == 413


class Slow(BytesIO):
    """A stream that gives a few bytes at a time, as sockets do."""

    def __init__(self, body, step=3):
        super().__init__(body)
        self.step, self.given = step, 0

    def read(self, size=-1):
        chunk = super().read(min(size, self.step) if size >= 0 else self.step)
        self.given += len(chunk)
        return chunk


def test_a_stream_is_read_to_its_end_or_to_the_limit(settings):
    settings.BODY_MAX_BYTES = 100
    assert read_limited(Slow(b"x" * 100)) == b"x" * 100
    endless = Slow(b"x" * 1000)
    with pytest.raises(Exception, match="larger than 100 bytes"):
        read_limited(endless)
    assert endless.given <= 101


@given(st.binary(max_size=50))
def test_no_bytes_are_anything_but_an_object_or_a_400(body):
    with suppress(ParseError):
        assert isinstance(loads_object(body), dict)


@given(st.dictionaries(st.text(), st.text(), max_size=5))
def test_every_object_is_read_as_it_was_written(value):
    import json

    assert loads_object(json.dumps(value).encode()) == value
    assert loads_object(json.dumps(value, ensure_ascii=False).encode()) == value
