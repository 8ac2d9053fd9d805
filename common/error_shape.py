"""The one error shape: `{type, errors: [{code, detail, attr}]}`, drf-standardized-errors' own.

The handler turns a `Refusal`, DRF's exceptions and whatever else is raised into that shape, so that
a route never formats an error itself.
"""

from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from drf_standardized_errors.formatter import ExceptionFormatter
from drf_standardized_errors.handler import ExceptionHandler as StandardExceptionHandler
from drf_standardized_errors.types import Error
from rest_framework.exceptions import APIException, ParseError
from rest_framework.response import Response

from common.errors import ERRORS_MAX, BodyTooLarge, Unavailable
from common.unavailable import unavailable


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
        headers: dict[str, str] = super().get_headers(exc)
        headers.update(getattr(exc, "headers", ()))
        return headers

    def should_not_handle(self, exc: Exception) -> bool:
        """Handle everything, in debug mode too: the shape is a promise, the traceback is logged."""
        return False

    def report_exception(self, exc: APIException, response: Response) -> None:
        """Report defects; a dependency that is away was logged in one line above."""
        if not isinstance(exc, Unavailable):
            super().report_exception(exc, response)


def exception_handler(exc: Exception, context: Any) -> Response | None:
    """Return the answer to any exception raised in a route (DRF's `EXCEPTION_HANDLER`)."""
    return Handler(exc, context).run()
