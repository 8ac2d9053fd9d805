"""How an answer is written for programs: orjson. The pages for people are in browsable.py."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import orjson
from django.db.models import QuerySet
from django.utils.functional import Promise
from rest_framework import renderers
from rest_framework.utils import encoders

from common.times import rfc3339

_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS


def _default(value: Any) -> Any:
    """Return what DRF's encoder makes of a value, times aside, which always have six decimals."""
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, QuerySet):
        return tuple(value)
    if isinstance(value, date | time | timedelta | Decimal | Promise | bytes):
        return encoders.JSONEncoder().default(value)
    raise TypeError(f"{type(value).__name__} can't be written as JSON")


def dumps(data: Any) -> bytes:
    """Return the JSON of an answer; an `orjson.Fragment` in it goes through untouched."""
    return orjson.dumps(data, _default, _OPTIONS)


class JSONRenderer(renderers.BaseRenderer):
    """UTF-8 JSON."""

    media_type = "application/json"
    format = "json"
    # JSON is UTF-8 by definition (RFC 8259), so the header names no charset.
    charset = None
    render_style = "text"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the answer's bytes; no data is no body."""
        return b"" if data is None else dumps(data)
