"""One scroll-back through a chat: any page, from whichever tiers hold it, without a seam."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from common.database import Statement
from common.errors import NotFound
from messaging.sql import read_sql
from messaging.tiers import Chat, Reading, Span, read
from messaging.wire import ANSWER_MAX_BYTES, Line

_VIEW = Statement(read_sql("view.sql"), 2)


@dataclass(frozen=True, slots=True)
class View:
    """What one user may see of one chat."""

    chat: Chat
    viewer: UUID
    stretches: Sequence[tuple[int, int]]
    """(first seq, last seq) of each time the user was in the chat, in order."""

    def older(self, before: int | None, limit: int) -> list[Span]:
        """Return the spans of the last `limit` visible seqs below `before`, in seq order."""
        spans: list[Span] = []
        for first, last in reversed(self.stretches):
            high = last if before is None else min(last, before - 1)
            low = max(first, high - limit + 1)
            if limit > 0 and low <= high:
                spans.insert(0, Span(self.chat, low, high))
                limit -= high - low + 1
        return spans

    def newer(self, after: int, limit: int) -> list[Span]:
        """Return the spans of the first `limit` visible seqs above `after`, in seq order."""
        spans: list[Span] = []
        for first, last in self.stretches:
            low = max(first, after + 1)
            high = min(last, low + limit - 1)
            if limit > 0 and low <= high:
                spans.append(Span(self.chat, low, high))
                limit -= high - low + 1
        return spans

    def spans(self, before: int | None, after: int | None, limit: int) -> list[Span]:
        """Return the spans of a page."""
        return self.older(before, limit) if after is None else self.newer(after, limit)


@dataclass(slots=True)
class Page:
    """Messages in seq order, whether there are older and newer ones, and the slowest tier asked."""

    lines: list[Line] = field(default_factory=list)
    older: bool = False
    newer: bool = False
    served_from: str = "cache"


def view(chat_id: UUID, user_id: UUID) -> View:
    """Return what a user may see of a chat; raises NotFound when that is nothing. One query."""
    found = [[int(each or 0) for each in row] for row in _VIEW((str(chat_id), str(user_id)))]
    if not found:
        raise NotFound
    return View(
        Chat(chat_id, found[0][0]),
        user_id,
        [(max(first, start), last) for _, start, first, last in found if last >= start],
    )


def page(shown: View, *, before: int | None = None, after: int | None = None, limit: int) -> Page:
    """Return a page of what a view shows, read down the staircase."""
    spans = shown.spans(before, after, limit)
    if not spans:
        return Page(
            older=bool(after is not None and shown.stretches and after >= shown.stretches[0][0]),
            newer=bool(before is not None and shown.stretches and before <= shown.stretches[-1][1]),
            served_from="database",
        )
    return page_of(shown, reading_of(shown, spans, after))


def reading_of(shown: View, spans: Sequence[Span], after: int | None) -> Reading:
    """Return what a page is read by: it keeps what is nearest to where it was asked from."""
    return Reading(spans, shown.viewer, room=ANSWER_MAX_BYTES, newest_first=after is None)


def page_of(shown: View, reading: Reading, *, skip: int = 0) -> Page:
    """Return a page from a reading of its spans, which the first `skip` tiers have answered."""
    lines = read(reading, skip=skip).chosen(shown.chat)
    return Page(
        lines,
        older=lines[0].seq > shown.stretches[0][0],
        newer=lines[-1].seq < shown.stretches[-1][1],
        served_from=reading.slowest,
    )
