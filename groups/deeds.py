"""What moderators do to a group from the admin's page of one: thin callers of the services."""

from typing import Any

from django import forms
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts import names
from accounts.models import User
from common.deeds import Deed, ReasonForm, offer, permitted
from common.ids import parse_id
from groups import moderating
from messaging.models import Chat, Membership


class MemberForm(ReasonForm):
    """Asks which member, and why."""

    member = forms.CharField(
        max_length=names.USERNAME_MAX_CHARS,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text="A member's whole username, or id.",
    )
    field_order = ("member", "reason")

    def clean_member(self) -> User:
        """Return the member; refuse anybody else."""
        text = self.cleaned_data["member"].strip()
        wanted = parse_id(text)
        found = User.objects.filter(pk=wanted) if wanted else None
        if found is None and text.isprintable():
            found = User.objects.filter(username_key=names.key(text))
        user = found.first() if found is not None else None
        members = Membership.objects.filter(chat=self.target.pk, last_seq=None)
        if user is None or not members.filter(user=user).exists():
            raise forms.ValidationError("Nobody by that name is a member.", code="no_member")
        return user


def _freeze(request: HttpRequest, group: Chat, data: dict[str, Any]) -> str:
    done = moderating.freeze_group(group_id=group.pk, reason=data["reason"])
    return f"{group} is frozen." if done else f"{group} was frozen already."


def _unfreeze(request: HttpRequest, group: Chat, data: dict[str, Any]) -> str:
    done = moderating.unfreeze_group(group_id=group.pk, reason=data["reason"])
    return f"{group} goes on." if done else f"{group} was not frozen."


def _remove(request: HttpRequest, group: Chat, data: dict[str, Any]) -> str:
    user = data["member"]
    moderating.remove_member(group_id=group.pk, user_id=user.pk, reason=data["reason"])
    return f"{user} is no member of {group} any more."


def offer_all() -> None:
    """Have the page of a group offer them."""
    may = permitted("groups.change_group")
    offer(
        "groups.group",
        Deed(
            name="freeze",
            label="Freeze",
            explain="Nobody can write to the group or change who is in it. Members can read it, "
            "leave it, and see a message that says so.",
            may=lambda request, group: group.frozen_at is None and may(request, group),
            act=_freeze,
            danger=True,
        ),
        Deed(
            name="unfreeze",
            label="Unfreeze",
            explain="The members can write again, and see a message that says so.",
            may=lambda request, group: group.frozen_at is not None and may(request, group),
            act=_unfreeze,
        ),
        Deed(
            name="remove",
            label="Remove a member",
            explain="They read and write no further. The members see that a moderator did it.",
            may=may,
            act=_remove,
            form=MemberForm,
            danger=True,
        ),
    )
