"""The moderators' pages for users, tokens and blocks; writes go through the services."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts import admin_roles, deeds, panels, rights, selectors, services
from accounts.admin_forms import AddUserForm, RightsForm, SetPasswordForm, rights_of
from accounts.models import Block, Token, User
from audit import actors
from audit.models import Action
from audit.services import record
from common.admin import LeanModelAdmin, ReadOnlyModelAdmin, ReasonActionForm
from common.deeds import tag

RIGHTS = ("is_staff", "is_superuser", "groups")


@admin.register(User)
class UserAdmin(LeanModelAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    """Find, ban and unban users, and end what they are logged in with."""

    form = RightsForm
    add_form = AddUserForm
    change_password_form = SetPasswordForm
    add_form_template = None
    list_display = ("username", "display_name", "standing", "is_staff", "date_joined")
    list_filter = ("is_active", "is_staff")
    search_fields = ("username",)
    search_help_text = "The beginning of a username, or a whole id."
    ordering = ("-pk",)
    filter_horizontal = ()
    actions = ("ban", "unban", "revoke_tokens")
    action_form = ReasonActionForm
    readonly_fields = (
        *("whole_id", "username", "display_name", "standing", "ban_terms", "set_password"),
        *("date_joined", "last_login"),
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    *("username", "display_name", "standing", "ban_terms", "set_password"),
                    *("date_joined", "last_login", "whole_id"),
                )
            },
        ),
        (
            "Rights in the admin",
            {"fields": RIGHTS},
        ),
    )
    changing_rights = (fieldsets[0], (fieldsets[1][0], {"fields": (*RIGHTS, "reason")}))
    add_fieldsets = ((None, {"fields": ("username", "display_name", "password")}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Let superusers alone make others staff, or the right to change users would be all."""
        if obj is None:
            return ()
        return (
            self.readonly_fields if self._gives(request, obj) else (*self.readonly_fields, *RIGHTS)
        )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Ask whoever may change a user's rights why."""
        if obj is not None and self._gives(request, obj):
            return self.changing_rights
        if obj is not None and not obj.is_staff:
            return self.fieldsets[:1]
        return super().get_fieldsets(request, obj)

    def _gives(self, request: HttpRequest, user: User) -> bool:
        return bool(request.user.is_superuser) and rights.above(actors.of_request(request), user)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Show the few roles there are as boxes to tick."""
        kwargs["widget"] = UnfoldAdminCheckboxSelectMultipleWidget
        field = super().formfield_for_manytomany(db_field, request, **kwargs)
        if field is not None:
            field.label, field.help_text = "Roles", ""
        return field

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by index."""
        return selectors.search_users(queryset, search_term), False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save a new user through the service that registers do go through."""
        if change:
            form.rights_before = rights_of(User.objects.get(pk=obj.pk))
            super().save_model(request, obj, form, change)
            return
        data = form.cleaned_data
        created = services.create_user(
            username=data["username"],
            password=data["password"] or None,
            display_name=data["display_name"],
        )
        obj.__dict__.update(created.__dict__)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Record a change of rights, from what to what."""
        super().save_related(request, form, formsets, change)
        if change and (after := rights_of(form.instance)) != form.rights_before:
            reason = form.cleaned_data.get("reason", "")
            before = form.rights_before
            record(
                Action.CHANGE_ROLE, target=form.instance, reason=reason, before=before, after=after
            )

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:  # noqa: A002
        """Set a password: for who may log in as others, since that is what it comes to."""
        user: Any = self.get_object(request, unquote(id))
        by = actors.of_request(request)
        if not rights.may(by, "accounts.reset_password") or not (user and rights.above(by, user)):
            raise PermissionDenied
        return super().user_change_password(request, id, form_url)

    @admin.display(description="standing")
    def standing(self, user: User) -> SafeString:
        """Return whether a user is banned."""
        return tag("active", "good") if user.is_active else tag("banned", "bad")

    @admin.display(description="ban")
    def ban_terms(self, user: User) -> str | None:
        """Return since when, until when and why a user is banned."""
        if user.is_active or user.banned_at is None:
            return None
        since = f"Since {user.banned_at:{deeds.MOMENT}}, {deeds.end_of(user.banned_until)}"
        return f"{since}: {user.ban_reason}" if user.ban_reason else f"{since}."

    @admin.display(description="id")
    def whole_id(self, user: User) -> SafeString:
        """Return the id, which one click takes."""
        return format_html('<code class="id">{}</code>', user.pk)

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
        self._each(request, queryset, "Banned", services.ban_user)

    @admin.action(description="Unban: login works again", permissions=["change"])
    def unban(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Unban the selected users."""
        self._each(request, queryset, "Unbanned", services.unban_user)

    @admin.action(description="Revoke all tokens", permissions=["change"])
    def revoke_tokens(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Revoke all tokens of the selected users."""
        self._each(request, queryset, "Tokens revoked", services.revoke_tokens)

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[User],
        done: str,
        act: Callable[..., Any],
    ) -> None:
        by, reason = actors.of_request(request), self.reason_given(request)
        for user in list(queryset) if reason else []:
            if not rights.above(by, user):
                refused = f"Not done to {user}: not to yourself, and to the staff by superusers."
                self.message_user(request, refused, messages.WARNING)
                continue
            act(user=user, reason=reason)
            self.log_change(request, user, done)
            self.message_user(request, f"{done}: {user}.", messages.SUCCESS)


# Secrets are nobody's to look at: a second factor is set up by its user and taken away by a deed.
# Their own pages register themselves when they are imported, which is to be before this.
import_module("django_otp.plugins.otp_totp.admin")
import_module("django_otp.plugins.otp_static.admin")
for device in (TOTPDevice, StaticDevice):
    if admin.site.is_registered(device):
        admin.site.unregister(device)

admin_roles.offer_all()
deeds.offer_all()
panels.offer_all()


class OfUsersAdmin(ReadOnlyModelAdmin):
    """For rows that belong to users: searched by a user's name or id, in either of its columns."""

    user_columns: tuple[str, ...] = ("user",)
    related: tuple[str, ...] = ()
    search_help_text = "The beginning of a user's name, or a whole id."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows with the users that they are called by."""
        return super().get_queryset(request).select_related(*self.related)

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

    related = ("blocker", "blocked")
    user_columns = ("blocker", "blocked")
    list_display = ("pair", "created_at")
    fields = ("pair", "created_at")
    search_fields = ("blocker__username", "blocked__username")
    search_help_text = "The beginning of either user's name, or a whole id."
    empty_text = "Nobody blocks anybody."
    actions = ("lift",)
    action_form = ReasonActionForm

    @admin.display(description="block")
    def pair(self, block: Block) -> str:
        """Return who blocks whom."""
        return f"{block.blocker} blocks {block.blocked}"

    def has_lift_permission(self, request: HttpRequest) -> bool:
        """Whoever may delete blocks may lift them."""
        return request.user.has_perm("accounts.delete_block")

    @admin.action(description="Lift the selected blocks", permissions=["lift"])
    def lift(self, request: HttpRequest, queryset: QuerySet[Block]) -> None:
        """Lift the selected blocks."""
        by, reason = actors.of_request(request), self.reason_given(request)
        for block in queryset.select_related("blocker", "blocked") if reason else []:
            if not (rights.above(by, block.blocker) and rights.above(by, block.blocked)):
                self.message_user(request, f"Not done: {block}.", messages.WARNING)
                continue
            services.lift_block(block=block, reason=reason)
            done = f"Lifted: {block.blocker} blocked {block.blocked}."
            self.log_change(request, block, done)
            self.message_user(request, done)


@admin.register(Token)
class TokenAdmin(OfUsersAdmin):
    """See when tokens were used, and revoke them. Neither a token nor its digest is shown."""

    related = ("user",)
    list_display = ("user", "state", "created_at", "last_used_at", "expires_at", "revoked_at")
    search_fields = ("user__username",)
    empty_text = "No token has been issued."
    fields = ("user", "state", "created_at", "last_used_at", "expires_at", "revoked_at")
    readonly_fields = fields
    actions = ("revoke",)
    action_form = ReasonActionForm

    @admin.display(description="state")
    def state(self, token: Token) -> SafeString:
        """Return whether it lets anybody in."""
        if token.revoked_at is not None:
            return tag("revoked", "bad")
        over = token.expires_at is not None and token.expires_at <= timezone.now()
        return tag("expired", "") if over else tag("valid", "good")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whoever may change users may revoke their tokens, as by banning them."""
        return request.user.has_perm("accounts.change_user")

    @admin.action(description="Revoke the selected tokens", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Token]) -> None:
        """Revoke the selected tokens."""
        by, reason = actors.of_request(request), self.reason_given(request)
        for token in queryset.select_related("user") if reason else []:
            if not rights.above(by, token.user):
                self.message_user(request, f"Not done to {token.user}.", messages.WARNING)
            elif services.revoke_token(token_id=token.pk, reason=reason):
                self.log_change(request, token, "Revoked")
                self.message_user(request, f"A token of {token.user} is revoked.")
