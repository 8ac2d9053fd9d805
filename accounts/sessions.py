"""People's sessions: rows that know whose they are, so that a user has only so many.

How a session is kept says `common.sessions`; this is what `SESSION_ENGINE` names.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import SESSION_KEY
from django.utils import timezone

from common import sessions
from common.ids import parse_id

SESSIONS_PER_USER = 50
"""So many browsers of a user are logged in at most; a further one ends the oldest session."""
CLEARED_AT_ONCE = 1000


class SessionStore(sessions.SessionStore):
    """Sessions in the database, each in its user's row."""

    @classmethod
    def get_model_class(cls) -> Any:
        """Return the table, which is not there yet when the settings name this module."""
        from accounts.models import BrowserSession  # noqa: PLC0415

        return BrowserSession

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        """Return the row of this session, with its user where somebody has logged in."""
        instance = super().create_model_instance(data)
        instance.user_id = parse_id(str(data.get(SESSION_KEY) or ""))
        return instance

    def save(self, must_create: bool = False) -> None:
        """Save it; the first time that it is a user's, end the oldest ones beyond the bound."""
        super().save(must_create)
        user_id = parse_id(str(self.get(SESSION_KEY) or ""))
        if user_id is not None and getattr(self, "_bounded_for", None) != user_id:
            self._bounded_for = user_id
            end_oldest(user_id)

    def _get_session_from_db(self) -> Any:
        found = super()._get_session_from_db()
        if found is not None:
            self._bounded_for = found.user_id
        return found


def end_oldest(user_id: Any) -> int:
    """End a user's sessions beyond the bound, those saved longest ago first; return how many."""
    rows = SessionStore.get_model_class().objects
    newest_first = rows.filter(user=user_id).order_by("-expire_date", "pk")
    beyond = list(newest_first.values_list("pk", flat=True)[SESSIONS_PER_USER:])
    return int(rows.filter(pk__in=beyond).delete()[0]) if beyond else 0


def clear_expired() -> int:
    """Delete sessions that have expired, a portion at a time; return how many."""
    rows = SessionStore.get_model_class().objects
    cleared = 0
    while True:
        expired = rows.filter(expire_date__lt=timezone.now()).order_by("expire_date")
        keys = list(expired.values_list("pk", flat=True)[:CLEARED_AT_ONCE])
        cleared += int(rows.filter(pk__in=keys).delete()[0])
        if len(keys) < CLEARED_AT_ONCE:
            return cleared
