"""The database tier: what every committed message is in until it is trimmed."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from common.database import rows
from messaging.sql import read_sql
from messaging.tiers import Reading, Span, Tier
from messaging.wire import UNBOUNDED, make_line

_LINES = read_sql("lines.sql")
_LINES_WITHIN = read_sql("lines_within.sql")
FEW_LINES = 64
"""So many messages are read whatever their size: at most 16 KiB each as they are stored."""
_NOBODY = str(UUID(int=0))
FRAME_BYTES = make_line(
    chat_id=_NOBODY, seq=1, sender_id=_NOBODY, kind="text", text="", at=0, client_id="1"
).size_for(_NOBODY.encode())
"""The least that a message takes beside its text; more would take the end for a hole."""


class DatabaseTier(Tier):
    """Messages in PostgreSQL."""

    name = "database"

    def read(self, reading: Reading, missing: Sequence[Span]) -> None:
        """Add the spans' messages and each chat's last seq, all of one snapshot: one query."""
        asked: dict[str, Any] = {
            "numbers": [span.chat.number for span in missing],
            "chats": [span.chat.id for span in missing],
            "firsts": [span.first for span in missing],
            "lasts": [span.last for span in missing],
        }
        if reading.room == UNBOUNDED or sum(asked["lasts"]) - sum(asked["firsts"]) < FEW_LINES:
            found = rows(_LINES, asked)
        else:
            asked |= {
                "rooms": [span.room for span in missing],
                "sign": -1 if reading.newest_first else 1,
                "frame": FRAME_BYTES,
            }
            found = rows(_LINES_WITHIN, asked)
        ids = {span.chat.number: str(span.chat.id) for span in missing}
        lines = reading.lines
        for number, end, seq, sender_id, kind, text, at, client_id, subject_id in found:
            reading.ends[number] = end
            lines.setdefault(number, {})[seq] = make_line(
                chat_id=ids[number],
                seq=seq,
                sender_id=sender_id,
                kind=kind,
                text=text,
                at=at,
                client_id=client_id,
                subject_id=subject_id,
            )
