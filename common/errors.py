"""What services raise: a `Refusal` says what was wrong, and `common/error_shape.py` how it looks.

Nothing here imports DRF's views: they import the authentication and the parsers, which raise what
stands here.
"""

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


class ArchiveUnavailable(Unavailable):
    """Cold storage gave no answer, or not a right one."""

    default_code = "archive_unavailable"
    default_detail = (
        "Older messages can't be read for a moment. Send the same request again; "
        "newer ones are there."
    )
