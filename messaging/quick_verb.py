"""The verbs asked most often: a wrong body is refused on the short way too.

Who sends rubbish would else get several times the machine that a poll gets.
"""

from collections.abc import Hashable
from functools import cache
from typing import Any, cast

from django.http import HttpRequest
from rest_framework.exceptions import ParseError, ValidationError

from accounts.authentication import admit_token, refuse_token
from common.limits import Limit
from common.parsers import loads_object
from common.quick import PLAIN_MAX_BYTES, Quick, is_json
from common.views import Verb


@cache
def _serializer(kind: Any) -> Any:
    """Return a serializer to validate many bodies with: to make one costs more than to use it."""
    return kind()


class QuickVerb(Quick, Verb):
    """A verb with a short way. A subclass names its serializer and its limit."""

    limit: Limit

    def check(self, body: dict[str, Any]) -> None:
        """Raise ValidationError for what the serializer does not see, whoever the caller is."""

    def refuse_body(self, request: HttpRequest, token: str) -> None:
        """Raise what DRF's way would for a body that is wrong; do nothing where it may be right.

        Whose token it is comes first, and the request is counted, as there.
        """
        if not is_json(request) or len(request.body) > PLAIN_MAX_BYTES:
            return
        try:
            serializer = _serializer(cast(Hashable, self.serializer_class))
            self.check(serializer.run_validation(loads_object(request.body)))
        except (ParseError, ValidationError) as wrong:
            user_id, taken = admit_token(token, self.limit, request.META)
            if user_id is None:
                refuse_token(token)
                return
            if taken is not None:
                taken.check()
                wrong.headers = taken.headers()  # type: ignore[union-attr]
            raise
