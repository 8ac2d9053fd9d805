"""The admin's forms of users; what they write goes through the services."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from rest_framework.exceptions import APIException
from unfold.forms import AdminOwnPasswordChangeForm, AdminPasswordChangeForm, UserChangeForm
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from accounts import names, selectors, services
from accounts.guessing import guarded, note_lockout
from accounts.models import User
from audit import actors
from audit.models import Action
from audit.repeated import record_repeated
from common.deeds import REASON_MAX_CHARS
from common.limits import Throttled

if TYPE_CHECKING:
    # Django's forms are generic for the type checker only.
    _UserForm = forms.ModelForm[User]
else:
    _UserForm = forms.ModelForm


class AddUserForm(_UserForm):
    """A new account; without a password, one can be set later."""

    password = forms.CharField(
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="May be left empty.",
    )

    class Meta:
        model = User
        fields = ("username", "display_name")
        widgets = {
            "username": UnfoldAdminTextInputWidget,
            "display_name": UnfoldAdminTextInputWidget,
        }

    def clean_username(self) -> str:
        """Return the name in the form in which it is stored; refuse one that is taken."""
        name = names.normal(self.cleaned_data["username"])
        if selectors.username_taken(name):
            raise ValidationError(services.UsernameTaken.default_detail, code="username_taken")
        return name

    def clean(self) -> dict[str, Any]:
        """Check the password by the rules that hold for everybody."""
        data = super().clean() or self.cleaned_data
        if data.get("password"):
            user = User(username=data.get("username", ""), display_name=data["display_name"])
            try:
                services.check_password(data["password"], user)
            except APIException as error:
                self.add_error("password", error.detail["password"])  # type: ignore[arg-type,call-overload,index]
        return data


class RightsForm(UserChangeForm):  # type: ignore[misc]
    """What a user may do in the admin, and why: the one thing that their page saves itself."""

    reason = forms.CharField(
        required=False,
        max_length=REASON_MAX_CHARS,
        label="Why",
        widget=UnfoldAdminTextInputWidget(),
        help_text="Of a change of rights; kept in the audit log.",
    )


def rights_of(user: User) -> dict[str, Any]:
    """Return what a user may do in the admin, as the audit log keeps it."""
    return {
        "staff": user.is_staff,
        "superuser": user.is_superuser,
        "roles": sorted(user.groups.values_list("name", flat=True)),
    }


class SetPasswordForm(AdminPasswordChangeForm):  # type: ignore[misc]
    """Another password for a user, or none, through the service that ends their logins too."""

    def save(self, commit: bool = True) -> User:
        """Set it."""
        user: User = self.user
        kept = self.cleaned_data["set_usable_password"]
        return services.reset_password(
            user=user, password=self.cleaned_data["password1"] if kept else None
        )


class OwnPasswordForm(AdminOwnPasswordChangeForm):  # type: ignore[misc]
    """Another password for oneself; the old one is asked for, and guessed no faster than a login.

    Raises Throttled and NotCounted as the login does, and is counted and recorded as it is.
    """

    def clean_old_password(self) -> str:
        """Look at the old password: who has the session alone must not find it out."""
        try:
            with guarded(self.user.username, actors.meta(), ValidationError):
                return str(super().clean_old_password())
        except ValidationError:
            record_repeated(
                Action.WRONG_PASSWORD, target=self.user, reason="The old one, to choose another."
            )
            raise
        except Throttled as refused:
            note_lockout(self.user.username, refused)
            raise

    def save(self, commit: bool = True) -> User:
        """Set it."""
        return services.change_own_password(
            user=self.user, password=self.cleaned_data["new_password1"]
        )
