"""The one error shape: `{type, errors: [{code, detail, attr}]}`, drf-standardized-errors' own.

The handler turns a `Refusal`, DRF's exceptions and whatever else is raised into that shape, so that
a route never formats an error itself.
"""

from functools import lru_cache
from typing import Any

import orjson
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from drf_standardized_errors.formatter import ExceptionFormatter, flatten_errors
from drf_standardized_errors.handler import ExceptionHandler as StandardExceptionHandler
from drf_standardized_errors.types import (
    CLIENT_ERROR,
    SERVER_ERROR,
    VALIDATION_ERROR,
    Error,
    ErrorType,
)
from rest_framework.exceptions import APIException, ErrorDetail, ParseError, ValidationError
from rest_framework.response import Response
from rest_framework.status import is_client_error

from common.bulkheads import Busy
from common.errors import ERRORS_MAX, BodyTooLarge, Unavailable
from common.unavailable import unavailable

KNOWN_MAX_CHARS = 300


class Formatter(ExceptionFormatter):
    """The library's formatter, which also names the field at fault of a `Refusal`."""

    def get_errors(self) -> list[Error]:
        """Return the first errors, a refusal's with its field."""
        errors: list[Error] = super().get_errors()[:ERRORS_MAX]
        field = getattr(self.exc, "field", None)
        if field is not None:
            for error in errors:
                error.attr = field
        return errors


class Handler(StandardExceptionHandler):
    """The library's handler, which also knows a dependency that is away from a defect."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        """Turn a dependency's "not now" into a 503, what Django refuses into a 4xx."""
        if (not_now := unavailable(exc)) is not None:
            return not_now
        if isinstance(exc, RequestDataTooBig):
            return BodyTooLarge()
        if isinstance(exc, SuspiciousOperation | MultiPartParserError | UnreadablePostError):
            return ParseError("The body can't be read as the form that it claims to be.")
        return super().convert_known_exceptions(exc)

    def format_exception(self, exc: APIException) -> dict[str, Any]:
        """Return the answer's body."""
        body: dict[str, Any] = Formatter(exc, self.context, self.exc).run()
        return body

    def get_headers(self, exc: APIException) -> dict[str, str]:
        """Return the library's headers and the refusal's own."""
        return headers_of(exc)

    def should_not_handle(self, exc: Exception) -> bool:
        """Handle everything, in debug mode too: the shape is a promise, the traceback is logged."""
        return False

    def report_exception(self, exc: APIException, response: Response) -> None:
        """Report defects; a dependency that is away was logged in one line above."""
        if not isinstance(exc, Unavailable):
            super().report_exception(exc, response)


def plain_refusal(error: Exception) -> HttpResponse | None:
    """Return the answer to a refusal as the handler makes it, None to what is more than that.

    A fifth of the handler's cost: who sends rubbish sends much of it, and who is not let in comes
    in crowds. What a dependency or a defect caused is the handler's, which reports it.
    """
    if not isinstance(error, APIException):
        return None
    if not is_client_error(error.status_code) and not isinstance(error, Busy):
        return None
    named, detail = getattr(error, "field", None), error.detail
    kind = str(_kind(error))
    if isinstance(detail, ErrorDetail) and len(detail) <= KNOWN_MAX_CHARS:
        body = _known_body(kind, detail.code, str(detail), named)
    else:
        errors = [
            {"code": one.code, "detail": one.detail, "attr": one.attr if named is None else named}
            for one in flatten_errors(detail)[:ERRORS_MAX]
        ]
        body = orjson.dumps({"type": kind, "errors": errors})
    return HttpResponse(
        body,
        content_type="application/json",
        status=error.status_code,
        headers=headers_of(error),
    )


def _kind(error: APIException) -> ErrorType:
    if isinstance(error, Busy):
        return SERVER_ERROR
    return VALIDATION_ERROR if isinstance(error, ValidationError) else CLIENT_ERROR


@lru_cache(256)
def _known_body(kind: str, code: str, detail: str, attr: str | None) -> bytes:
    """Return the body of a refusal that says one sentence, as most do over and over."""
    problem = {"code": code, "detail": detail, "attr": attr}
    return orjson.dumps({"type": kind, "errors": [problem]})


def headers_of(error: APIException) -> dict[str, str]:
    """Return what the answer to an exception says in its head."""
    headers = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = str(error.auth_header)  # type: ignore[attr-defined]
    if getattr(error, "wait", None):
        headers["Retry-After"] = f"{error.wait:.0f}"  # type: ignore[attr-defined]
    headers.update(getattr(error, "headers", ()))
    return headers


def exception_handler(exc: Exception, context: Any) -> Response | None:
    """Return the answer to any exception raised in a route (DRF's `EXCEPTION_HANDLER`)."""
    return Handler(exc, context).run()
