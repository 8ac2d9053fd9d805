"""How an answer is written: orjson for programs, a page with forms for people."""

import json
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
        """Return the answer's bytes; no data is no body. Indented for the browsable API."""
        if data is None:
            return b""
        written = dumps(data)
        if (renderer_context or {}).get("indent"):
            # Through the standard library, since orjson leaves fragments on one line.
            return json.dumps(orjson.loads(written), indent=2, ensure_ascii=False).encode()
        return written


class BrowsableAPIRenderer(renderers.BrowsableAPIRenderer):
    """DRF's page, whose raw form starts from the view's `sample` body."""

    def get_raw_data_form(self, data: Any, view: Any, method: str, request: Any) -> Any:
        """Return the raw form: JSON alone, with a body that can be sent after small changes."""
        form = super().get_raw_data_form(data, view, method, request)
        if not form:
            return form
        media_type = view.parser_classes[0].media_type
        choice: Any = form.fields["_content_type"]
        choice.choices = [(media_type, media_type)]
        sample = getattr(view, "sample", None)
        if sample:
            form.fields["_content"].initial = json.dumps(sample, indent=2, ensure_ascii=False)
        return form
