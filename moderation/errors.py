"""What can't be reported or decided."""

from rest_framework import status

from common.errors import Conflict, Forbidden, Refusal


class SelfReport(Refusal):
    """Nobody reports themself."""

    default_code = "report_self"
    default_detail = "You can't report yourself."
    field = "user_id"


class TooManyOpenReports(Conflict):
    """Moderators have not decided on many reports of this user yet: more would help nobody."""

    default_code = "too_many_open_reports"
    default_detail = (
        "Moderators have not yet answered many of your reports. Report more when they have."
    )


class NotReportable(Refusal):
    """What a group's log says by itself, or a text that is gone."""

    default_code = "not_reportable"
    default_detail = "Only a message that somebody wrote, and that still has its text, can be."
    field = "seq"


class CaseClosed(Conflict):
    """Somebody has decided already, and otherwise."""

    default_code = "case_closed"
    default_detail = "This report is closed already."


class CaseTaken(Conflict):
    """Somebody else is at it."""

    default_code = "case_taken"
    default_detail = "Somebody else has taken this report."


class NotApplicable(Conflict):
    """The measure makes no sense for this case."""

    default_code = "not_applicable"
    default_detail = "That can't be done about this report."


class ReasonMissing(Refusal):
    """What is done to others is done for a reason."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_code = "reason_missing"
    default_detail = "Say why: the reason is kept, and others have to understand it later."
    field = "reason"


class GlassWhole(Forbidden):
    """The chat can't be read without breaking the glass first, and that holds for a while only."""

    default_code = "glass_whole"
    default_detail = "This chat can be read only with a reason that is recorded, and for an hour."
