"""The one error shape: `{type, errors: [{code, detail, attr}]}`, drf-standardized-errors' own.

Services raise a `Refusal`; the handler turns it, DRF's exceptions and whatever else is raised into
that shape, so that a route never formats an error itself.
"""

import logging
from typing import Any

from django.db import InterfaceError, OperationalError
from drf_standardized_errors.formatter import ExceptionFormatter
from drf_standardized_errors.handler import ExceptionHandler as StandardExceptionHandler
from drf_standardized_errors.handler import exception_handler as standard_exception_handler
from drf_standardized_errors.types import Error
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.response import Response

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 2


class Refusal(APIException):
    """A request that is well-formed but may not be done; `field` names the field at fault."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_code = "refused"
    default_detail = "This can't be done."
    field: str | None = None

    def __init__(self, detail: str | None = None, *, field: str | None = None) -> None:
        super().__init__(detail)
        if field is not None:
            self.field = field


class NotFound(Refusal):
    """No such thing, or nothing the caller may see: the two are never told apart."""

    status_code = status.HTTP_404_NOT_FOUND
    default_code = "not_found"
    default_detail = "There is nothing here by that id, or nothing that you may see."


class Forbidden(Refusal):
    """The caller may see the thing, but not do this to it."""

    status_code = status.HTTP_403_FORBIDDEN
    default_code = "forbidden"
    default_detail = "You may not do this."


class Conflict(Refusal):
    """What is there already stands against it."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"
    default_detail = "This conflicts with what is there already."


class BodyTooLarge(Refusal):
    """The body is over the limit; it was not read."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "body_too_large"
    default_detail = "The body of the request is too large. Send less at once."


class Unavailable(Refusal):
    """A dependency that this request needs is away; the same request may be sent again."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "unavailable"
    default_detail = "A part of the service is away for a moment. Send the same request again."
    wait = RETRY_AFTER_SECONDS


class DatabaseUnavailable(Unavailable):
    """The database gave no answer. Whether a send was committed is unknown: `client_id` tells."""

    default_code = "database_unavailable"
    default_detail = (
        "The database is away for a moment. Send the same request again; "
        "with the same client_id a message is never sent twice."
    )


class Handler(StandardExceptionHandler):
    """The library's handler, which also knows a database that is away from a defect."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        """Turn a lost or refused database connection into a 503."""
        if isinstance(exc, OperationalError | InterfaceError):
            logger.warning("database unavailable: %s", str(exc).strip().splitlines()[:1])
            return DatabaseUnavailable()
        return super().convert_known_exceptions(exc)

    def should_not_handle(self, exc: Exception) -> bool:
        """Handle everything, in debug mode too: the shape is a promise, the traceback is logged."""
        return False

    def report_exception(self, exc: APIException, response: Response) -> None:
        """Report defects; a dependency that is away was logged in one line above."""
        if not isinstance(exc, Unavailable):
            super().report_exception(exc, response)


class Formatter(ExceptionFormatter):
    """The library's formatter, which also names the field at fault of a `Refusal`."""

    def get_errors(self) -> list[Error]:
        """Return the errors, a refusal's with its field."""
        errors: list[Error] = super().get_errors()
        field = getattr(self.exc, "field", None)
        if field is not None:
            for error in errors:
                error.attr = field
        return errors


def exception_handler(exc: Exception, context: Any) -> Response | None:
    """Return the answer to any exception raised in a route (DRF's `EXCEPTION_HANDLER`)."""
    return standard_exception_handler(exc, context)
