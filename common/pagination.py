"""Lists in pages: `{next, previous, results}`, each link a cursor."""

from base64 import b64decode
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlsplit

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError
from django.db.models import QuerySet
from rest_framework import pagination
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

from common.numbers import whole_number

PAGE_ROWS = 50
"""How many results a page for people has at most."""


def parse_limit(text: str | None, *, default: int, largest: int) -> int:
    """Return the `limit` of a query string; raise a 400 for anything but 1 … largest."""
    if text is None:
        return default
    limit = whole_number(text)
    if limit is None or not 1 <= limit <= largest:
        raise ValidationError({"limit": f"This must be a whole number from 1 to {largest}."})
    return limit


def shown_limit(limit: int, request: Request) -> int:
    """Return how many results an answer holds at most: a page for people is shorter."""
    renderer = getattr(request, "accepted_renderer", None)
    return min(limit, PAGE_ROWS) if getattr(renderer, "format", "") == "api" else limit


class CursorPagination(pagination.CursorPagination):
    """Pages by cursor. The view says in which `ordering`, by a unique or nearly unique field."""

    page_size = 100
    max_page_size = 500
    page_size_query_param = "limit"
    page_size_query_description = "How many results a page holds: 1 to 500, 100 when not given."
    cursor_query_description = "Where to go on, from `next` or `previous` of another page."

    def get_page_size(self, request: Request) -> int:
        """Return the `limit`; a bad one is a 400, not silently another number."""
        limit = parse_limit(
            request.query_params.get("limit"), default=self.page_size, largest=self.max_page_size
        )
        return shown_limit(limit, request)

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:
        """Return the view's ordering."""
        ordering = getattr(view, "ordering", None) or self.ordering
        return (ordering,) if isinstance(ordering, str) else tuple(ordering)

    def get_paginated_response_schema(self, schema: Any) -> dict[str, Any]:
        """Return what a page looks like; a link that leads nowhere is null."""
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {
                "next": {
                    **link,
                    "description": "Leads to the results after these.",
                    "example": "https://chat.example/blocks/?cursor=cD0xMDA%3D",
                },
                "previous": {
                    **link,
                    "description": "Leads to the results before these.",
                    "example": None,
                },
                "results": schema,
            },
        }

    def paginate_queryset(
        self, queryset: QuerySet[Any, Any], request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        """Return one page; a cursor that decodes to a position of another type is a 400 too."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (DjangoValidationError, ValueError, DataError) as error:
            if request.query_params.get(self.cursor_query_param) is None:
                raise
            _garbled(error)

    def decode_cursor(self, request: Request) -> pagination.Cursor | None:
        """Return the cursor; raise a 400 for anything that this class has not written."""
        encoded = request.query_params.get(self.cursor_query_param)
        if encoded is None:
            return None
        try:
            # The lenient decoder of the base class skips what is no base64.
            b64decode(encoded.encode("ascii"), validate=True)
            cursor = super().decode_cursor(request)
        except (NotFound, ValueError) as error:
            _garbled(error)
        if cursor is None or self._text(cursor) != encoded:
            # One text for one place, and none for the first page.
            _garbled()
        return cursor

    def _text(self, cursor: pagination.Cursor) -> str | None:
        query = urlsplit(self.encode_cursor(cursor)).query
        return dict(parse_qsl(query)).get(self.cursor_query_param)


def _garbled(error: Exception | None = None) -> NoReturn:
    raise ValidationError(
        {"cursor": "This is no cursor of this list. Use the links in `next` and `previous`."}
    ) from error
