"""Reporting: what users tell the moderators. One transaction each."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from accounts.selectors import user_by_id
from common.errors import NotFound
from messaging import history
from messaging.models import Message
from messaging.wire import from_micros
from moderation.errors import NotReportable, SelfReport, TooManyOpenReports
from moderation.models import LIVE, Case, Kind, Report
from moderation.reading import fields_of

TRIES = 5


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is reported, as a case keeps it."""

    kind: Kind
    user_id: UUID
    chat_id: UUID | None = None
    seq: int | None = None
    text: str = ""
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Said:
    """What the reporter says."""

    reporter_id: UUID
    reason: str
    comment: str | None


def report_message(
    *, reporter_id: UUID, chat_id: UUID, seq: int, reason: str, comment: str | None = None
) -> tuple[Report, bool]:
    """Report a message; return the report and whether it is new.

    A message is reported once by one user, for ever: it does not change. Raises NotFound for what
    the reporter can't see, NotReportable, SelfReport, TooManyOpenReports.
    """
    try:
        view = history.view(chat_id, reporter_id)
    except NotFound:
        raise NotFound(field="chat_id") from None
    if not any(first <= seq <= last for first, last in view.stretches):
        raise NotFound(field="seq")
    (line,) = history.page(view, after=seq - 1, limit=1).lines
    message = fields_of(line)
    if message["kind"] != Message.Kind.TEXT:
        raise NotReportable
    sender_id = UUID(message["sender_id"])
    if sender_id == reporter_id:
        raise SelfReport(field="seq")
    said = _Said(reporter_id, reason, comment)
    earlier = Report.objects.filter(
        reporter=reporter_id, case__kind=Kind.MESSAGE, case__chat=chat_id, case__seq=seq
    )
    found = earlier.select_related("case").first()
    if found is not None:
        return found, False
    return _report(
        said,
        _Subject(Kind.MESSAGE, sender_id, chat_id, seq, message["text"], from_micros(line.at)),
    )


def report_user(
    *, reporter_id: UUID, user_id: UUID, reason: str, comment: str | None = None
) -> tuple[Report, bool]:
    """Report a user; return the report and whether it is new.

    Whoever has reported them already, and has no answer yet, has the same report again. Raises
    NotFound, SelfReport, TooManyOpenReports.
    """
    user = user_by_id(user_id, field="user_id")
    if user.pk == reporter_id:
        raise SelfReport
    return _report(_Said(reporter_id, reason, comment), _Subject(Kind.USER, user.pk))


def _check_open(reporter_id: UUID) -> None:
    """Raise TooManyOpenReports where a user has as many undecided reports as one may have."""
    open_ = Report.objects.filter(reporter=reporter_id, case__state__in=LIVE).count()
    if open_ >= settings.OPEN_REPORTS_PER_USER:
        raise TooManyOpenReports


def _report(said: _Said, subject: _Subject) -> tuple[Report, bool]:
    """Add a report to the live case of its subject, or open one."""
    for _ in range(TRIES):
        try:
            with transaction.atomic():
                return _add(said, subject)
        except IntegrityError:
            # Somebody opened the case in the same moment: next time round it is there.
            continue
    with transaction.atomic():
        return _add(said, subject)


def _add(said: _Said, subject: _Subject) -> tuple[Report, bool]:
    of_it = (
        Case.objects.filter(kind=Kind.MESSAGE, chat=subject.chat_id, seq=subject.seq)
        if subject.kind == Kind.MESSAGE
        else Case.objects.filter(kind=Kind.USER, user=subject.user_id)
    )
    # Whoever decides holds the row too: the report is in the case before that, or opens another.
    case = of_it.select_for_update(no_key=True).filter(state__in=LIVE).first()
    if case is not None:
        standing = Report.objects.filter(case=case, reporter=said.reporter_id).first()
        if standing is not None:
            standing.case = case
            return standing, False
    _check_open(said.reporter_id)
    if case is None:
        case = Case.objects.create(
            kind=subject.kind,
            user_id=subject.user_id,
            chat_id=subject.chat_id,
            seq=subject.seq,
            text=subject.text,
            sent_at=subject.sent_at,
        )
    report = Report.objects.create(
        case=case, reporter_id=said.reporter_id, reason=said.reason, comment=said.comment
    )
    report.refresh_from_db(fields=["created_at"])
    now = timezone.now()
    Case.objects.filter(pk=case.pk).update(report_count=F("report_count") + 1, reported_at=now)
    report.case = case
    return report, True
