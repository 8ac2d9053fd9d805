"""What moderators do from the admin's pages: thin callers of the services, each asks why."""

from typing import Any

from django import forms
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminIntegerFieldWidget

from accounts import rights
from accounts.deeds import BanForm, end_of
from accounts.models import User
from audit import actors
from common.deeds import ConfirmForm, Deed, DeedForm, ReasonForm, offer
from messaging.models import Chat, Message
from moderation import access, cases, glass, redaction
from moderation.models import BreakGlass, Case, Measure, done_about

EXPLAIN = {
    Measure.REDACT: "Takes the message's text from everybody's history, for good. Its place stays.",
    Measure.BAN: "The user is logged out everywhere and can't log in while the ban lasts.",
    Measure.REMOVE: "The user is no member of the group any more; the members see that.",
    Measure.FREEZE: "Nobody can write to the group until a moderator unfreezes it.",
}


class DecideForm(BanForm):
    """Asks why, what else to do about the same report, and when a ban ends."""

    measure: Measure | None = None
    also = forms.MultipleChoiceField(
        required=False, label="And at once", widget=UnfoldAdminCheckboxSelectMultipleWidget()
    )

    field_order = ("reason", "also", "ends", "until")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        case: Any = self.target
        others = [one for one in cases.applicable(case) if one != self.measure]
        also: Any = self.fields["also"]
        also.choices = [(one.value, one.label) for one in others]
        if not others:
            del self.fields["also"]
        self.fields["ends"].label = (
            "The ban ends after" if self.measure == Measure.BAN else "A ban, if ticked, ends after"
        )
        self.fields[
            "reason"
        ].help_text = (
            "Others must understand the decision later. Kept with the report and in the audit log."
        )

    @property
    def chosen(self) -> list[Measure]:
        """Return the measures of the button and of the boxes."""
        own = [self.measure] if self.measure else []
        return own + [Measure(one) for one in self.cleaned_data.get("also", [])]

    def clean(self) -> dict[str, Any]:
        """Add the measures."""
        data = super().clean()
        data["measures"] = self.chosen
        return data


def _form_of(measure: Measure) -> type[DecideForm]:
    return type(f"{measure.value.title()}Form", (DecideForm,), {"measure": measure})


class SeqForm(ReasonForm):
    """Asks which message of a chat, and why."""

    seq = forms.IntegerField(
        min_value=1,
        max_value=2**63 - 1,
        label="Number of the message",
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="The number that it has in its chat.",
    )
    field_order = ("seq", "reason")


def _may_decide(request: HttpRequest, case: Case) -> bool:
    by = actors.of_request(request)
    return rights.may(by, "moderation.change_case") and rights.above(by, case.user)


def _live(request: HttpRequest, case: Case) -> bool:
    """Whether to offer a decision; who sends one that came too late is told why by the service."""
    return (case.live or request.method == "POST") and _may_decide(request, case)


def _resolve(request: HttpRequest, case: Case, data: dict[str, Any]) -> str:
    done = cases.resolve_case(
        case_id=case.pk,
        measures=data["measures"],
        note=data["reason"],
        until=data["ends_at"] if Measure.BAN in data["measures"] else None,
    )
    if not done.measures:
        return "The report is resolved; nothing else was done."
    ban = f" The ban is {end_of(data['ends_at'])}." if Measure.BAN in done.measures else ""
    return f"The report is resolved: {done_about(done)}.{ban}"


def _dismiss(request: HttpRequest, case: Case, data: dict[str, Any]) -> str:
    cases.dismiss_case(case_id=case.pk, note=data["reason"])
    return "The report is dismissed."


def _reopen(request: HttpRequest, case: Case, data: dict[str, Any]) -> str:
    cases.reopen_case(case_id=case.pk, note=data["reason"])
    return "The report is open again. What was done is not undone."


def _take(request: HttpRequest, case: Case, data: dict[str, Any]) -> str:
    cases.take_case(case_id=case.pk)
    return "The report is yours."


def _release(request: HttpRequest, case: Case, data: dict[str, Any]) -> str:
    cases.release_case(case_id=case.pk)
    return "The report is back in the queue."


def _measure(measure: Measure, label: str) -> Deed:
    def may(request: HttpRequest, case: Case) -> bool:
        return measure in cases.applicable(case) and _live(request, case)

    return Deed(
        name=measure.value,
        label=label,
        explain=f"{EXPLAIN[measure]} This resolves the report.",
        may=may,
        act=_resolve,
        form=_form_of(measure),
        danger=True,
    )


def _break(request: HttpRequest, chat: Chat, data: dict[str, Any]) -> str:
    opened = glass.break_glass(chat_id=chat.pk, reason=data["reason"])
    return f"You may read this chat until {opened.expires_at:%H:%M} UTC. Each page is recorded."


def _to_glass(request: HttpRequest, chat: Chat) -> str:
    opened = glass.open_for(actors.of_request(request), chat.pk)
    if opened is None:
        return reverse("admin:moderation_breakglass_changelist")
    return reverse("admin:moderation_breakglass_change", args=[opened.pk])


def _close(request: HttpRequest, opened: BreakGlass, data: dict[str, Any]) -> str:
    glass.close_glass(glass_id=opened.pk)
    return "You read no further."


def _redact_in(chat_id: Any, data: dict[str, Any]) -> str:
    found = redaction.redact_message(chat_id=chat_id, seq=data["seq"], reason=data["reason"])
    page = reverse("admin:moderation_redaction_change", args=[found.pk])
    return format_html(
        'Message #{} is on its way out of every tier: <a href="{}">see how far</a>.',
        data["seq"],
        page,
    )


def _redact_behind_glass(request: HttpRequest, opened: BreakGlass, data: dict[str, Any]) -> str:
    return _redact_in(opened.chat_id, data)


def _redact_in_group(request: HttpRequest, group: Chat, data: dict[str, Any]) -> str:
    return _redact_in(group.pk, data)


def _redact_it(request: HttpRequest, message: Message, data: dict[str, Any]) -> str:
    return _redact_in(message.chat_id, data | {"seq": message.seq})


def _erase(request: HttpRequest, user: User, data: dict[str, Any]) -> str:
    report = access.erase_account(user=user, reason=data["reason"])
    rest = "" if report["ok"] else " The rest of their archive goes with the next backup."
    return f"The account is closed and has no name any more.{rest}"


def _has(permission: str) -> Any:
    def may(request: HttpRequest, thing: Any) -> bool:
        return rights.may(actors.of_request(request), permission)

    return may


def offer_all() -> None:
    """Have the pages of cases, chats, groups, messages, users and broken glass offer them."""
    offer(
        "moderation.case",
        Deed(
            name="take",
            label="Take it",
            explain="Shows the others that you are at it.",
            may=lambda request, case: case.assignee_id is None and _live(request, case),
            act=_take,
            form=DeedForm,
        ),
        Deed(
            name="release",
            label="Give it back",
            explain="Puts the report back into the queue for somebody else.",
            may=lambda request, case: case.assignee_id is not None and _live(request, case),
            act=_release,
            form=DeedForm,
        ),
        _measure(Measure.REDACT, "Redact the message"),
        _measure(Measure.BAN, "Ban the user"),
        _measure(Measure.REMOVE, "Remove from the group"),
        _measure(Measure.FREEZE, "Freeze the group"),
        Deed(
            name="resolve",
            label="Resolve otherwise",
            explain="Closes the report with what you say, and with what you tick.",
            may=_live,
            act=_resolve,
            form=DecideForm,
        ),
        Deed(
            name="dismiss",
            label="Dismiss",
            explain="Closes the report: nothing is wrong with it. Who reported it sees that.",
            may=_live,
            act=_dismiss,
        ),
        Deed(
            name="reopen",
            label="Open again",
            explain="Puts the report back into the queue. What was done is not undone.",
            may=lambda request, case: not case.live and _may_decide(request, case),
            act=_reopen,
        ),
    )
    offer(
        "messaging.chat",
        Deed(
            name="glass",
            label="Break the glass",
            explain="Lets you read this private chat for a while. The reason and each page that "
            "you read are in the audit log for good.",
            may=lambda request, chat: (
                chat.kind == Chat.Kind.PRIVATE and _has("moderation.add_breakglass")(request, chat)
            ),
            act=_break,
            then=_to_glass,
            danger=True,
        ),
    )
    offer(
        "moderation.breakglass",
        Deed(
            name="close",
            label="Read no further",
            explain="Ends it before its time.",
            may=lambda request, opened: opened.open and opened.opened_by_id == request.user.pk,
            act=_close,
            form=DeedForm,
        ),
        Deed(
            name="redact",
            label="Redact a message",
            explain=EXPLAIN[Measure.REDACT],
            may=lambda request, opened: opened.open and opened.opened_by_id == request.user.pk,
            act=_redact_behind_glass,
            form=SeqForm,
            danger=True,
        ),
    )
    offer(
        "groups.group",
        Deed(
            name="redact",
            label="Redact a message",
            explain=EXPLAIN[Measure.REDACT],
            may=_has("messaging.delete_message"),
            act=_redact_in_group,
            form=SeqForm,
            danger=True,
        ),
    )
    offer(
        "messaging.message",
        Deed(
            name="redact",
            label="Redact",
            explain=EXPLAIN[Measure.REDACT],
            may=lambda request, message: (
                message.kind == Message.Kind.TEXT and _has("messaging.delete_message")(request, 0)
            ),
            act=_redact_it,
            danger=True,
        ),
    )
    offer(
        "accounts.user",
        Deed(
            name="erase",
            label="Erase",
            explain="Closes the account, takes its name away and deletes its archive. What they "
            "wrote stays in others' chats under no name. There is no way back.",
            may=lambda request, user: (
                bool(request.user.is_superuser) and rights.above(actors.of_request(request), user)
            ),
            act=_erase,
            form=ConfirmForm,
            danger=True,
        ),
    )
