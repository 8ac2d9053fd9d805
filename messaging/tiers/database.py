"""The database tier: what every committed message is in until it is trimmed."""

from collections.abc import Sequence

from common.database import rows
from messaging.sql import read_sql
from messaging.tiers import Reading, Span, Tier
from messaging.wire import make_line

_LINES = read_sql("lines.sql")


class DatabaseTier(Tier):
    """Messages in PostgreSQL."""

    name = "database"

    def read(self, reading: Reading, missing: Sequence[Span]) -> None:
        """Add the spans' messages and each chat's last seq, all of one snapshot: one query."""
        found = rows(
            _LINES,
            {
                "numbers": [span.chat.number for span in missing],
                "chats": [span.chat.id for span in missing],
                "firsts": [span.first for span in missing],
                "lasts": [span.last for span in missing],
            },
        )
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
