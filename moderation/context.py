"""What a moderator reads to understand a case: what was said around it, what there was before."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, QuerySet

from accounts import selectors as users
from accounts.models import Block
from accounts.rights import require, same
from audit import actors
from audit.actors import Actor
from audit.models import Action, Entry
from audit.services import record
from common.errors import NotFound, Unavailable
from messaging import history
from moderation.cases import target_of
from moderation.models import Case, Report
from moderation.reading import ChatPage, page_of

AROUND = 10
"""So many messages before the one reported, and so many after it."""
SHOWN = 20
OF_THE_STANDING = (
    Action.BAN, Action.UNBAN, Action.BAN_ENDED, Action.REMOVE_MEMBER, Action.REVOKE_TOKENS,
    Action.CHANGE_ROLE, Action.ERASE_USER,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """What was done to a user, newest first, and how many users block them, up to a bound."""

    entries: list[Entry]
    blocked_by: int


def read_context(*, case: Case, by: Actor | None = None) -> ChatPage:
    """Return the messages around a reported one, as far as a reporter could see them; recorded.

    Empty where nothing of it is left. Raises NotYours, NotFound, Unavailable.
    """
    by = by or actors.current()
    require(by, "moderation.view_case")
    if same(by, case.user_id) or case.chat_id is None or case.seq is None:
        raise NotFound
    window = _window(case.chat_id, case.seq, case)
    try:
        page = page_of(case.chat_id, limit=0, within=window) if window else ChatPage()
    except Unavailable:
        # The message as it was reported is shown all the same.
        record(Action.CASE_READ, by=by, target=target_of(case), after=ChatPage().read())
        raise
    record(Action.CASE_READ, by=by, target=target_of(case), after=page.read())
    return page


def other_cases(case: Case) -> list[Case]:
    """Return other cases of the reported user, newest first."""
    of_them = Case.objects.filter(user=case.user_id).exclude(pk=case.pk)
    return list(of_them.select_related("closed_by").order_by("-pk")[:SHOWN])


def standing_of(case: Case) -> Standing:
    """Return how the reported user stands."""
    entries = Entry.objects.filter(target_id=str(case.user_id), action__in=OF_THE_STANDING)
    blocks = Block.objects.filter(blocked=case.user_id).values("pk")
    return Standing(
        entries=list(entries.order_by("-pk")[:SHOWN]),
        blocked_by=blocks[: users.SEARCH_MAX_USERS].count(),
    )


def trail_of(case: Case) -> QuerySet[Entry]:
    """Return what was done about a case, oldest first; that somebody read it is no part of it."""
    entries = Entry.objects.filter(target_id=str(case.pk)).exclude(action=Action.CASE_READ)
    return entries.order_by("pk")


def readers_of(case: Case) -> list[tuple[str, int]]:
    """Return who opened a case's page, and how often."""
    reads = Entry.objects.filter(target_id=str(case.pk), action=Action.CASE_READ)
    counted = reads.values_list("actor_name").annotate(times=Count("pk"))
    return list(counted.order_by("actor_name")[:SHOWN])


def reports_of(case: Case) -> QuerySet[Report]:
    """Return a case's reports with who made them, newest first."""
    return Report.objects.filter(case=case).select_related("reporter").order_by("-pk")


def _window(chat_id: UUID, seq: int, case: Case) -> tuple[int, int] | None:
    """Return the seqs around a message that one of its reporters could see."""
    for report in Report.objects.filter(case=case).order_by("pk")[:SHOWN]:
        try:
            stretches = history.view(chat_id, report.reporter_id).stretches
        except NotFound:
            continue
        for first, last in stretches:
            if first <= seq <= last:
                return max(first, seq - AROUND), min(last, seq + AROUND)
    return None
