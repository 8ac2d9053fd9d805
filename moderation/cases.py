"""Deciding what users report: each verb one transaction that holds the case's row.

So two moderators at once are two after another: the second finds the case decided, and is told so
or has the same answer. Locks: the case's row, then the chat's, the user's, the audit log's.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts import standing
from accounts.models import User
from accounts.rights import require, require_above, same
from audit import actors
from audit.actors import Actor
from audit.models import Action
from audit.services import Target, record
from common.errors import NotFound
from groups import moderating
from groups.changes import hold
from messaging.models import Chat
from moderation import redaction
from moderation.errors import CaseClosed, CaseTaken, NotApplicable, ReasonMissing
from moderation.models import Case, Kind, Measure, State


def cases_for(by: Actor) -> QuerySet[Case]:
    """Return the cases that an actor may know of; none about themself. Raises NotYours."""
    require(by, "moderation.view_case")
    return Case.objects.exclude(user=by.id) if by.id else Case.objects.all()


def take_case(*, case_id: UUID, by: Actor | None = None) -> Case:
    """Make a case the actor's own. Raises CaseTaken, CaseClosed, NotYours, NotFound."""
    by = by or actors.current()
    with transaction.atomic():
        case = _hold(case_id, by)
        if not case.live:
            raise CaseClosed(_closed(case))
        if case.assignee_id == by.id:
            return case
        if case.assignee is not None:
            raise CaseTaken(f"{case.assignee} has taken this report.")
        case.state, case.assignee_id = State.IN_PROGRESS, by.id
        case.save(update_fields=["state", "assignee"])
        record(Action.CASE_TAKEN, by=by, target=target_of(case))
    return case


def release_case(*, case_id: UUID, by: Actor | None = None) -> Case:
    """Give a case back to the queue, whoever has it. Raises CaseClosed, NotYours, NotFound."""
    by = by or actors.current()
    with transaction.atomic():
        case = _hold(case_id, by)
        if not case.live:
            raise CaseClosed(_closed(case))
        if case.assignee is None:
            return case
        before = {"assignee": case.assignee.username}
        case.state, case.assignee = State.OPEN, None
        case.save(update_fields=["state", "assignee"])
        record(Action.CASE_RELEASED, by=by, target=target_of(case), before=before)
    return case


def resolve_case(
    *,
    case_id: UUID,
    measures: Sequence[Measure],
    note: str,
    until: datetime | None = None,
    by: Actor | None = None,
) -> Case:
    """Take measures about a case and close it: all of it, or nothing.

    `until` is when a ban ends (None: never). Of a case that was closed with the same measures
    already nothing is done again. Raises CaseClosed, NotApplicable, ReasonMissing, NotYours,
    NotToThem, NotFound.
    """
    by = by or actors.current()
    chosen = [measure for measure in Measure if measure in measures]
    with transaction.atomic():
        case = _hold(case_id, by)
        if not case.live:
            if case.state == State.RESOLVED and case.measures == chosen:
                return case
            raise CaseClosed(_closed(case))
        _check(case, chosen, note, by)
        _hold_what_is_changed(case, chosen)
        _close(case, State.RESOLVED, note, by, chosen)
        for measure in chosen:
            _take(measure, case, note, until, by)
        record(
            Action.CASE_RESOLVED,
            by=by,
            target=target_of(case),
            reason=note,
            after={"measures": list(case.measures), "reports": case.report_count},
        )
    return case


def dismiss_case(*, case_id: UUID, note: str, by: Actor | None = None) -> Case:
    """Close a case with nothing done. Raises CaseClosed, ReasonMissing, NotYours, NotFound."""
    by = by or actors.current()
    with transaction.atomic():
        case = _hold(case_id, by)
        if case.state == State.DISMISSED:
            return case
        if not case.live:
            raise CaseClosed(_closed(case))
        _check(case, [], note, by)
        _close(case, State.DISMISSED, note, by, [])
        record(
            Action.CASE_DISMISSED,
            by=by,
            target=target_of(case),
            reason=note,
            after={"reports": case.report_count},
        )
    return case


def reopen_case(*, case_id: UUID, note: str, by: Actor | None = None) -> Case:
    """Put a closed case back into the queue; what was done is not undone.

    Raises NotApplicable where newer reports have opened another, ReasonMissing, NotYours.
    """
    by = by or actors.current()
    try:
        with transaction.atomic():
            case = _hold(case_id, by)
            if case.live:
                return case
            _check(case, [], note, by)
            before = {"state": case.state, "resolution": case.resolution}
            case.state, case.assignee = State.OPEN, None
            case.closed_at = case.closed_by = case.text_until = None
            case.save(update_fields=["state", "assignee", "closed_at", "closed_by", "text_until"])
            record(Action.CASE_REOPENED, by=by, target=target_of(case), reason=note, before=before)
    except IntegrityError:
        raise NotApplicable("There is a newer report of the same: decide that one.") from None
    return case


def forget_texts() -> int:
    """Forget the texts of cases that were closed long enough ago; return how many."""
    over = Case.objects.filter(text_until__lte=timezone.now())
    return over.update(text="", text_until=None)


def applicable(case: Case) -> list[Measure]:
    """Return the measures that make sense for a case."""
    found = [Measure.BAN]
    if case.kind == Kind.MESSAGE:
        found.insert(0, Measure.REDACT)
        if case.chat is not None and case.chat.kind == Chat.Kind.GROUP:
            found += [Measure.REMOVE, Measure.FREEZE]
    return found


def target_of(case: Case) -> Target:
    """Return a case as the audit log names it: no reporter is in it."""
    what = f"{case.chat_id}/{case.seq}" if case.kind == Kind.MESSAGE else "account"
    return Target("case", case.pk, f"{case.user.username} {what}")


def _hold(case_id: UUID, by: Actor) -> Case:
    require(by, "moderation.change_case")
    case = (
        Case.objects.select_related("user", "chat", "assignee", "closed_by")
        .select_for_update(of=("self",), no_key=True)
        .filter(pk=case_id)
        .first()
    )
    if case is None or same(by, case.user_id):
        raise NotFound
    return case


def _hold_what_is_changed(case: Case, chosen: Sequence[Measure]) -> None:
    """Take the rows' locks before the first entry in the audit log, whose lock comes last."""
    if case.chat_id and {Measure.REMOVE, Measure.FREEZE} & set(chosen):
        hold(case.chat_id)
    if Measure.BAN in chosen:
        User.objects.select_for_update(no_key=True).get(pk=case.user_id)


def _check(case: Case, chosen: Sequence[Measure], note: str, by: Actor) -> None:
    if not note.strip():
        raise ReasonMissing
    # What is said about the staff is decided by superusers.
    require_above(by, case.user)
    may = applicable(case)
    for measure in chosen:
        if measure not in may:
            raise NotApplicable(f"{measure.label}: not about this report.")


def _close(case: Case, state: State, note: str, by: Actor, chosen: Sequence[Measure]) -> None:
    now = timezone.now()
    case.state, case.resolution, case.measures = state, note, [str(one) for one in chosen]
    case.closed_at, case.closed_by_id = now, by.id
    case.text_until = now + timedelta(days=settings.REPORT_TEXT_DAYS) if case.text else None
    case.save(
        update_fields=[
            "state", "resolution", "measures", "closed_at", "closed_by", "text_until",
        ]
    )  # fmt: skip


def _take(measure: Measure, case: Case, note: str, until: datetime | None, by: Actor) -> None:
    if measure == Measure.BAN:
        standing.ban_user(user=case.user, reason=note, until=until, by=by)
    if case.chat_id is None or case.seq is None:
        return
    if measure == Measure.REDACT:
        require(by, "messaging.delete_message")
        redaction.ask(chat_id=case.chat_id, seq=case.seq, reason=note, by=by)
    elif measure == Measure.REMOVE:
        moderating.remove_member(group_id=case.chat_id, user_id=case.user_id, reason=note, by=by)
    elif measure == Measure.FREEZE:
        moderating.freeze_group(group_id=case.chat_id, reason=note, by=by)


def _closed(case: Case) -> str:
    who = f" by {case.closed_by}" if case.closed_by else ""
    return f"This report was {case.state}{who} at {case.closed_at:%Y-%m-%d %H:%M:%S} UTC."
