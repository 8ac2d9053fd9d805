"""Ids are UUIDv7: ordered by time, so that indexes grow at one end."""

import re
from uuid import UUID

from uuid_utils.compat import uuid7

_CANONICAL = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


def new_id() -> UUID:
    """Return a new UUIDv7."""
    return uuid7()


def parse_id(text: object) -> UUID | None:
    """Return the id that a text names in the canonical form, or None for anything else.

    Python's own UUID() also takes braces, `urn:uuid:` and missing hyphens: one thing, one name.
    """
    if isinstance(text, str) and _CANONICAL.fullmatch(text):
        return UUID(text)
    return None
