"""The moderators' pages for users, tokens and blocks; writes go through the services."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from rest_framework.exceptions import APIException
from unfold.forms import AdminPasswordChangeForm, UserChangeForm
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from accounts import names, panels, rights, selectors, services
from accounts.models import Block, Token, User
from audit import actors
from common.admin import LeanModelAdmin, ReadOnlyModelAdmin

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


class SetPasswordForm(AdminPasswordChangeForm):  # type: ignore[misc]
    """Another password for a user, or none, through the service that ends their logins too."""

    def save(self, commit: bool = True) -> User:
        """Set it."""
        user: User = self.user
        kept = self.cleaned_data["set_usable_password"]
        return services.reset_password(
            user=user, password=self.cleaned_data["password1"] if kept else None
        )


@admin.register(User)
class UserAdmin(LeanModelAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    """Find, ban and unban users, and end what they are logged in with."""

    form = UserChangeForm
    add_form = AddUserForm
    change_password_form = SetPasswordForm
    add_form_template = None
    list_display = ("username", "display_name", "id", "is_active", "is_staff", "date_joined")
    list_filter = ("is_active", "is_staff")
    search_fields = ("username",)
    search_help_text = "The beginning of a username, or a whole id."
    ordering = ("-pk",)
    filter_horizontal = ()
    autocomplete_fields = ("groups",)
    raw_id_fields = ("user_permissions",)
    actions = ("ban", "unban", "revoke_tokens")
    readonly_fields = (
        "id",
        "username",
        "display_name",
        "is_active",
        "banned_at",
        "banned_until",
        "ban_reason",
        "date_joined",
        "last_login",
        "set_password",
    )
    fieldsets = (
        (None, {"fields": ("id", "username", "display_name", "set_password")}),
        (
            "Standing",
            {
                "fields": (
                    *("is_active", "banned_at", "banned_until", "ban_reason"),
                    *("date_joined", "last_login"),
                )
            },
        ),
        ("Admin", {"fields": ("is_staff", "is_superuser", "groups", "user_permissions")}),
    )
    add_fieldsets = ((None, {"fields": ("username", "display_name", "password")}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Let superusers alone make others staff, or the right to change users would be all."""
        if obj is None:
            return ()
        if request.user.is_superuser:
            return self.readonly_fields
        return (
            *self.readonly_fields,
            "is_staff",
            "is_superuser",
            "groups",
            "user_permissions",
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by index."""
        return selectors.search_users(queryset, search_term), False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save a new user through the service that registers do go through."""
        if change:
            super().save_model(request, obj, form, change)
            return
        data = form.cleaned_data
        created = services.create_user(
            username=data["username"],
            password=data["password"] or None,
            display_name=data["display_name"],
        )
        obj.__dict__.update(created.__dict__)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:  # noqa: A002
        """Set a password: for who may log in as others, since that is what it comes to."""
        user: Any = self.get_object(request, unquote(id))
        by = actors.of_request(request)
        if not rights.may(by, "accounts.reset_password") or not (user and rights.above(by, user)):
            raise PermissionDenied
        return super().user_change_password(request, id, form_url)

    @admin.display(description="password")
    def set_password(self, user: User) -> SafeString:
        """Return a link to the form that sets a password; the old one's hash is nobody's to see."""
        state = "set" if user.has_usable_password() else "none: a token is the only way in"
        by = actors.current()
        if not rights.may(by, "accounts.reset_password") or not rights.above(by, user):
            return format_html("{}", state)
        return format_html('{} · <a href="../password/">set another</a>', state)

    @admin.action(description="Ban: no token, session or login works", permissions=["change"])
    def ban(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Ban the selected users, but nobody who is above the one who does it."""
        self._each(request, queryset, "Banned", lambda user: services.ban_user(user=user))

    @admin.action(description="Unban: login works again", permissions=["change"])
    def unban(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Unban the selected users."""
        self._each(request, queryset, "Unbanned", lambda user: services.unban_user(user=user))

    @admin.action(description="Revoke all tokens", permissions=["change"])
    def revoke_tokens(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Revoke all tokens of the selected users."""
        self._each(
            request, queryset, "Tokens revoked", lambda user: services.revoke_tokens(user=user)
        )

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[User],
        done: str,
        act: Callable[[User], Any],
    ) -> None:
        by = actors.of_request(request)
        users = list(queryset)
        for user in users:
            if not rights.above(by, user):
                refused = f"Not done to {user}: not to yourself, and to the staff by superusers."
                self.message_user(request, refused, messages.WARNING)
                continue
            act(user)
            self.log_change(request, user, done)
            self.message_user(request, f"{done}: {user}.", messages.SUCCESS)


panels.offer_all()


class OfUsersAdmin(ReadOnlyModelAdmin):
    """For rows that belong to users: searched by a user's name or id, in either of its columns."""

    user_columns: tuple[str, ...] = ("user",)
    search_help_text = "The beginning of a user's name, or a whole id."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search for the users first, then for their rows: both by index."""
        if not search_term.strip():
            return queryset, False
        found = selectors.search_users(User.objects.order_by("username_key"), search_term)
        ids = list(found.values_list("pk", flat=True)[: selectors.SEARCH_MAX_USERS])
        either = Q()
        for column in self.user_columns:
            either |= Q(**{f"{column}__in": ids})
        return queryset.filter(either), False


@admin.register(Block)
class BlockAdmin(OfUsersAdmin):
    """Find and lift blocks."""

    user_columns = ("blocker", "blocked")
    list_display = ("id", "blocker", "blocked", "created_at")
    list_select_related = ("blocker", "blocked")
    search_fields = ("blocker__username", "blocked__username")
    actions = ("lift",)

    def has_lift_permission(self, request: HttpRequest) -> bool:
        """Whoever may delete blocks may lift them."""
        return request.user.has_perm("accounts.delete_block")

    @admin.action(description="Lift the selected blocks", permissions=["lift"])
    def lift(self, request: HttpRequest, queryset: QuerySet[Block]) -> None:
        """Lift the selected blocks."""
        for block in queryset.select_related("blocker", "blocked"):
            services.lift_block(block=block)
            done = f"Lifted: {block.blocker} blocked {block.blocked}."
            self.log_change(request, block, done)
            self.message_user(request, done)


@admin.register(Token)
class TokenAdmin(OfUsersAdmin):
    """See when tokens were used, and revoke them. Neither a token nor its digest is shown."""

    list_display = ("id", "user", "created_at", "last_used_at", "expires_at", "revoked_at")
    list_select_related = ("user",)
    search_fields = ("user__username",)
    fields = ("id", "user", "created_at", "last_used_at", "expires_at", "revoked_at")
    readonly_fields = fields
    actions = ("revoke",)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whoever may change users may revoke their tokens, as by banning them."""
        return request.user.has_perm("accounts.change_user")

    @admin.action(description="Revoke the selected tokens", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Token]) -> None:
        """Revoke the selected tokens."""
        by = actors.of_request(request)
        for token in queryset.select_related("user"):
            if not rights.above(by, token.user):
                self.message_user(request, f"Not done to {token.user}.", messages.WARNING)
            elif services.revoke_token(token_id=token.pk):
                self.log_change(request, token, "Revoked")
                self.message_user(request, f"A token of {token.user} is revoked.")
