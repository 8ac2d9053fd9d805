"""People's sessions, in the database under a digest of their key.

Django keeps a session under the very key that the browser's cookie holds, so whoever reads the
table, a replica or a dump is logged in as everybody. Here the row's name is the key's SHA-256,
cut to the column's width: 160 bits, of a key of 165 random ones.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from django.contrib.sessions.backends import db

WIDTH = 40


def row_key(session_key: str) -> str:
    """Return the name of a session's row."""
    return sha256(session_key.encode()).hexdigest()[:WIDTH]


class SessionStore(db.SessionStore):
    """Django's, whose rows don't tell the keys."""

    @classmethod
    def get_model_class(cls) -> Any:
        """Return Django's own table."""
        return super().get_model_class()

    def _get_session_from_db(self) -> Any:
        key = self.session_key
        if key is None:
            return None
        # The lookup of Django's own store, with the row's name for as long as it takes.
        self._session_key = row_key(key)
        found = super()._get_session_from_db()  # type: ignore[misc]
        # It forgets the key where there is no such session, so that a stranger's is not kept.
        self._session_key = None if found is None else key
        return found

    def exists(self, session_key: str) -> bool:
        """Say whether there is a session of this key."""
        return super().exists(row_key(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        """Return the row of this session."""
        instance = super().create_model_instance(data)
        instance.session_key = row_key(str(instance.session_key))
        return instance

    def delete(self, session_key: str | None = None) -> None:
        """End the session of this key, else this one."""
        key = self.session_key if session_key is None else session_key
        if key is not None:
            super().delete(row_key(key))
