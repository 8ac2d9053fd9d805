"""What services raise: a `Refusal` says what was wrong, and `common/error_shape.py` how it looks.

Nothing here imports DRF's views: they import the authentication and the parsers, which raise what
stands here.
"""

from collections.abc import Mapping
from types import MappingProxyType

from rest_framework import status
from rest_framework.exceptions import APIException

RETRY_AFTER_SECONDS = 2
ERRORS_MAX = 10
"""The most errors that an answer lists: those of a long list would be longer than the request."""


class Refusal(APIException):
    """A request that is well-formed but may not be done; `field` names the field at fault."""

    status_code: int = status.HTTP_400_BAD_REQUEST
    default_code = "refused"
    default_detail = "This can't be done."
    field: str | None = None
    headers: Mapping[str, str] = MappingProxyType({})

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


class BodyIncomplete(Refusal):
    """The body ended before its length; nothing was done."""

    default_code = "body_incomplete"
    default_detail = "The body is shorter than its Content-Length. Send the request again, whole."


class LengthRequired(Refusal):
    """The body says no length, so that a part of it can't be told from all; nothing was done."""

    default_code = "length_required"
    default_detail = "Send the body with a Content-Length that is its number of bytes."


class UnsupportedBody(Refusal):
    """The body is in no form that is read here."""

    status_code = status.HTTP_415_UNSUPPORTED_MEDIA_TYPE
    default_code = "unsupported_media_type"
    default_detail = "Send JSON in UTF-8: neither in parts nor compressed."


class UriTooLong(Refusal):
    """The path or the query string is over the limit."""

    status_code = status.HTTP_414_REQUEST_URI_TOO_LONG
    default_code = "uri_too_long"
    default_detail = "The address is too long."


class HeadTooLarge(Refusal):
    """A header is over the limit."""

    status_code = status.HTTP_431_REQUEST_HEADER_FIELDS_TOO_LARGE
    default_code = "header_too_large"
    default_detail = "A header is too long. In a browser, delete the cookies of this site."


class MethodUnknown(Refusal):
    """The method is longer than any that there is."""

    status_code = status.HTTP_405_METHOD_NOT_ALLOWED
    default_code = "method_not_allowed"
    default_detail = "There is no such method."


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


class ArchiveUnavailable(Unavailable):
    """Cold storage gave no answer, or not a right one."""

    default_code = "archive_unavailable"
    default_detail = (
        "Older messages can't be read for a moment. Send the same request again; "
        "newer ones are there."
    )
