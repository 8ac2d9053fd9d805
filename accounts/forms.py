"""The login form of the pages for people: the API's own and the admin's."""

from typing import TYPE_CHECKING, Any

from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError

from accounts import names
from accounts.guessing import guarded, note_lockout
from accounts.passwords import PASSWORD_MAX_CHARS
from common.limits import Throttled

if TYPE_CHECKING:
    # Unfold brings no types; its form is Django's, with the look of its pages.
    from django.contrib.admin.forms import AdminAuthenticationForm

    _Form = AuthenticationForm
else:
    from unfold.forms import AuthenticationForm as AdminAuthenticationForm

    _Form = object


class Guarded(_Form):
    """Counts failed logins together with the API's; goes before Django's form.

    Raises Throttled and NotCounted, which `common.pages.RefusalPages` turns into a page.
    """

    def __init__(self, request: Any = None, data: Any = None, **kwargs: Any) -> None:
        if data is not None and len(name := data.get("username") or "") > names.SENT_MAX_CHARS:
            # Still too long for a name, and short enough to be shown again.
            data = {**data.dict(), "username": name[: names.SENT_MAX_CHARS + 1]}
        super().__init__(request, data, **kwargs)

    def clean(self) -> dict[str, Any]:
        """Look at the name and the password, if both were given."""
        username = self.cleaned_data.get("username")
        password = self.cleaned_data.get("password")
        if self.request is None or username is None or not password:
            return super().clean()
        if len(username) > names.SENT_MAX_CHARS or len(password) > PASSWORD_MAX_CHARS:
            # Nobody's: told as any other that is wrong, before anything is hashed.
            raise self.get_invalid_login_error()
        with guarded(username, self.request.META, ValidationError):
            return super().clean()


class LoginForm(Guarded, AuthenticationForm):
    """Logs in to the API's pages."""


class AdminLoginForm(Guarded, AdminAuthenticationForm):
    """Logs in to the admin; the audit log tells of names that were held up."""

    def clean(self) -> dict[str, Any]:
        """Look at the name and the password."""
        try:
            return super().clean()
        except Throttled as refused:
            note_lockout(self.cleaned_data["username"], refused)
            raise
