"""Ids are UUIDv7: ordered by time, so that indexes grow at one end."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """Return a new UUIDv7."""
    return uuid7()
