"""What every request is checked for before Django sees it, and what becomes of its body."""

from io import BytesIO
from typing import Any

import pytest
from django.conf import settings as real_settings

from common import request_gate
from common.request_gate import BODY, REFUSED

FORM = "application/x-www-form-urlencoded"


class Slow(BytesIO):
    """A stream that gives a few bytes at a time, as one from a network does."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(7, size) if size and size > 0 else 7)


def checked(body: bytes = b"", length: int | None = None, **more: str) -> dict[str, Any]:
    """Return the environment of a POST after its check."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/send_message",
        "QUERY_STRING": "",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body) if length is None else length),
        "wsgi.input": Slow(body),
        **more,
    }
    request_gate.check(environ)
    return environ


def refused(environ: dict[str, Any]) -> tuple[int, str]:
    """Return the status and code that a request was refused with."""
    error = environ[REFUSED]
    assert environ[BODY] == b""
    return error.status_code, error.get_codes()


def test_a_body_is_read_whole() -> None:
    environ = checked(b'{"text": "hello, hello"}')
    assert REFUSED not in environ
    assert environ[BODY] == environ["wsgi.input"].read() == b'{"text": "hello, hello"}'


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_a_body_shorter_than_its_length_is_refused(body: bytes) -> None:
    environ = checked(body, length=500)
    assert refused(environ) == (400, "body_incomplete")
    assert environ[REFUSED].headers == {"Connection": "close"}


@pytest.mark.parametrize("length", ["", "2"])
def test_a_body_in_chunks_is_refused(length: str) -> None:
    # Only nginx can tell whether it came to its end.
    environ = checked(b"{}", None, HTTP_TRANSFER_ENCODING="chunked", CONTENT_LENGTH=length)
    assert refused(environ) == (400, "length_required")
    assert environ[REFUSED].headers == {"Connection": "close"}


@pytest.mark.parametrize(
    ("path", "content_type", "most"),
    [
        ("/send_message", "application/json", 1024 * 1024),
        ("/nowhere", "nonsense", 1024 * 1024),
        ("/admin/login/", "multipart/form-data; boundary=x", 1024 * 1024),
        ("/send_message", FORM, request_gate.FORM_MAX_BYTES),
        ("/send_message", f"{FORM}; charset=utf-8", request_gate.FORM_MAX_BYTES),
        ("/browse/login/", FORM, request_gate.OPEN_FORM_MAX_BYTES),
        ("/admin/accounts/user/", FORM, request_gate.OPEN_FORM_MAX_BYTES),
        ("/register", FORM, request_gate.OPEN_FORM_MAX_BYTES),
    ],
)
def test_a_body_over_the_limit_is_not_read(path: str, content_type: str, most: int) -> None:
    assert real_settings.BODY_MAX_BYTES == 1024 * 1024
    environ = checked(b"x" * (most + 1), PATH_INFO=path, CONTENT_TYPE=content_type)
    assert refused(environ) == (413, "body_too_large")
    assert environ[REFUSED].headers == {"Connection": "close"}
    fits = checked(b"x" * most, PATH_INFO=path, CONTENT_TYPE=content_type)
    assert getattr(fits.get(REFUSED), "status_code", 0) != 413


@pytest.mark.parametrize("length", ["-1", "x", "1.0", "1" * 5000])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    assert refused(checked(b"{}", CONTENT_LENGTH=length))[0] in {400, 413}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json", "application/json; charset=utf-8", 'Application/JSON;CHARSET="UTF-8"',
        "application/json; charset=utf8; x=y", FORM, "text/plain", "", "nonsense", "/;;",
    ],
)  # fmt: skip
def test_a_type_in_utf_8_goes_on(content_type: str) -> None:
    assert REFUSED not in checked(b"{}", CONTENT_TYPE=content_type)


@pytest.mark.parametrize(
    "charset",
    ["punycode", "idna", "zlib", "base64", "hex", "rot13", "undefined", "unicode_escape", "utf-7",
     "utf-16", "latin-1", "nonsense", "", "utf-8,punycode", '"punycode"'],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["application/json", FORM, "text/plain"])
@pytest.mark.parametrize(
    "form", ["{}; charset={}", "{};CHARSET = {}", "{}; charset*=utf-8''{}", "{}; charset*0={}"]
)
def test_any_other_charset_is_refused(kind: str, charset: str, form: str) -> None:
    environ = checked(b"{}", CONTENT_TYPE=form.format(kind, charset))
    assert refused(environ) == (415, "unsupported_media_type")
    # Django looks a charset up as soon as it makes its request.
    assert environ["CONTENT_TYPE"] == ""


@pytest.mark.parametrize("path", ["/send_message", "/admin/login/", "/browse/login/", "/nowhere"])
def test_a_form_in_parts_is_refused(path: str) -> None:
    # Its parts name charsets of their own, and files would be written down.
    for content_type in ("multipart/form-data; boundary=x", "Multipart/Mixed", "multipart/"):
        environ = checked(b"--x--", CONTENT_TYPE=content_type, PATH_INFO=path)
        assert refused(environ) == (415, "unsupported_media_type")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP", "identity, gzip"])
def test_a_compressed_body_is_a_415_that_says_so(encoding: str) -> None:
    environ = checked(b"\x1f\x8b", HTTP_CONTENT_ENCODING=encoding)
    assert refused(environ) == (415, "unsupported_media_type")
    assert "compressed" in str(environ[REFUSED].detail)
    assert REFUSED not in checked(b"{}", HTTP_CONTENT_ENCODING="identity")


def test_what_is_too_long_is_never_answered_back() -> None:
    environ = checked(b"{}", CONTENT_TYPE="application/" + "x" * 100_000)
    assert refused(environ) == (415, "unsupported_media_type")
    assert len(str(environ[REFUSED].detail)) < 200
    environ = checked(b"{}", REQUEST_METHOD="X" * 1000)
    assert refused(environ) == (405, "method_not_allowed")
    assert len(environ["REQUEST_METHOD"]) < 20


@pytest.mark.parametrize(
    ("name", "longest", "answer"),
    [
        ("PATH_INFO", request_gate.PATH_MAX_CHARS, (414, "uri_too_long")),
        ("QUERY_STRING", request_gate.QUERY_MAX_CHARS, (414, "uri_too_long")),
        ("HTTP_COOKIE", request_gate.HEADER_MAX_CHARS, (431, "header_too_large")),
        ("HTTP_AUTHORIZATION", request_gate.HEADER_MAX_CHARS, (431, "header_too_large")),
        ("HTTP_HOST", request_gate.HEADER_MAX_CHARS, (431, "header_too_large")),
    ],
)
def test_a_head_has_its_limits(name: str, longest: int, answer: tuple[int, str]) -> None:
    assert REFUSED not in checked(b"{}", None, **{name: "/" + "a" * (longest - 1)})
    environ = checked(b"{}", None, **{name: "/" + "a" * longest})
    assert refused(environ) == answer
    assert len(environ[name]) <= longest
    # It was read nevertheless, so that the connection can be used on.
    assert not environ[REFUSED].headers


def test_a_query_string_of_the_admin_is_shorter() -> None:
    longest = {"QUERY_STRING": "o=" + "1" * (request_gate.ADMIN_QUERY_MAX_CHARS - 2)}
    longer = {"QUERY_STRING": longest["QUERY_STRING"] + "1"}
    page = "/admin/accounts/user/"
    assert REFUSED not in checked(b"{}", None, PATH_INFO=page, **longest)
    assert refused(checked(b"{}", None, PATH_INFO=page, **longer)) == (414, "uri_too_long")
    # The login page has the address of the page that was asked for in its own.
    assert REFUSED not in checked(b"{}", None, PATH_INFO="/admin/login/", **longer)
    assert REFUSED not in checked(b"{}", None, PATH_INFO="/blocks/", **longer)


@pytest.mark.parametrize(
    ("accept", "taken"),
    [
        ("application/json", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",)
        * 2,
        ("a/b," * 24_000, "*/*"),
        ("application/json;" + "x=y;" * 10_000, "*/*"),
        ("," * 40, "*/*"),
    ],
)
def test_who_accepts_very_much_accepts_anything(accept: str, taken: str) -> None:
    assert checked(b"{}", HTTP_ACCEPT=accept)["HTTP_ACCEPT"] == taken
