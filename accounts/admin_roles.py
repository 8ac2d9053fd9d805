"""The page of roles: what each may do, in words. They are given on a user's page."""

from typing import Any

from django.contrib import admin
from django.contrib.auth import admin as _djangos  # noqa: F401 it registers what we register anew
from django.contrib.auth.models import Group, Permission
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from accounts.models import User
from common.admin import ReadOnlyModelAdmin
from common.deeds import Panel, Table, link, offer

SHOWN = 100

admin.site.unregister(Group)


@admin.register(Group)
class RoleAdmin(ReadOnlyModelAdmin):
    """See what a role may do, and who has it. Its rights are made with each migration."""

    called = "Roles"
    list_display = ("name",)
    fields = ("name", "rights")
    readonly_fields = fields
    actions = None
    empty_text = "There are no roles. Run manage.py migrate."

    @admin.display(description="may")
    def rights(self, role: Group) -> SafeString:
        """Return the rights of a role, one a line."""
        found = Permission.objects.filter(group=role).select_related("content_type")
        rights = found.order_by("content_type__app_label", "codename")
        return format_html_join("", "{}<br>", ((_words(one),) for one in rights))


def _words(right: Permission) -> str:
    """Return a right in words: `Can view user` is how Django begins all of its own."""
    return f"{right.name.removeprefix('Can ')} ({right.content_type.app_label})"


def holders_of(request: HttpRequest, role: Group) -> dict[str, Any]:
    """Return who has a role."""
    users = User.objects.filter(groups=role).order_by("username_key")[:SHOWN]
    page = "admin:accounts_user_change"
    rows = [
        [link(user.username, reverse(page, args=[user.pk])), user.display_name, user.last_login]
        for user in users
    ]
    return Table(("User", "Display name", "Last login"), rows, "Nobody has this role.").context()


def _may_see(request: HttpRequest, role: Group) -> bool:
    return bool(request.user.has_perm("accounts.view_user"))


def offer_all() -> None:
    """Have the page of a role show them."""
    offer("auth.group", Panel(name="holders", title="Who has it", load=holders_of, may=_may_see))
