"""What the admin's frame shows: the product's name and mark, and a menu by what one may do."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import reverse

# Headings, each with its pages: (app label, model name), an icon of Material Symbols, a title.
_MENU: list[tuple[str, list[tuple[str, str, str]]]] = [
    (
        "Moderation",
        [
            ("moderation.case", "flag", "Reports"),
            ("accounts.user", "person", "Users"),
            ("accounts.block", "block", "Blocks"),
            ("moderation.redaction", "ink_eraser", "Redactions"),
            ("moderation.breakglass", "key", "Private reading"),
        ],
    ),
    (
        "Conversations",
        [
            ("messaging.chat", "forum", "Chats"),
            ("groups.group", "groups", "Groups"),
            ("messaging.message", "chat", "Messages"),
        ],
    ),
    (
        "Cold storage",
        [
            ("archive.job", "play_circle", "Runs"),
            ("archive.backuprun", "cloud_upload", "Backups"),
            ("archive.retentionrun", "auto_delete", "Retention"),
            ("archive.drillrun", "health_and_safety", "Drills"),
            ("archive.archivekey", "key", "Archive keys"),
            ("messaging.databasereset", "history_toggle_off", "Returns to an older state"),
            ("archive.erasure", "ink_eraser", "Erased messages"),
        ],
    ),
    (
        "Access",
        [
            ("accounts.token", "vpn_key", "Tokens"),
            ("auth.group", "badge", "Roles"),
            ("audit.entry", "history", "Audit log"),
        ],
    ),
]


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the menu: the pages that there are and that the caller may open."""
    # The admin's modules are loaded after the settings that name this function.
    from django.contrib.admin import site  # noqa: PLC0415

    pages = {model._meta.label_lower: page for model, page in site._registry.items()}  # noqa: SLF001
    menu: list[dict[str, Any]] = [
        {
            "items": [
                {"title": "Dashboard", "icon": "monitoring", "link": reverse("admin:index")},
            ]
        }
    ]
    for heading, entries in _MENU:
        items = [
            {
                "title": title,
                "icon": icon,
                "link": reverse(f"admin:{label.replace('.', '_')}_changelist"),
            }
            for label, icon, title in entries
            if label in pages and pages[label].has_view_permission(request)
        ]
        if items:
            menu.append({"title": heading, "items": items})
    return menu


def _no_colours(request: HttpRequest) -> dict[str, Any]:
    """Return none: they are in common/admin.css, not in a style element of each page."""
    return {}


def _favicon(request: HttpRequest) -> str:
    return static("common/strata.svg")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Strata",
    "SITE_HEADER": "Strata",
    "SITE_URL": "/",
    "LOGIN": {"form": "accounts.forms.AdminLoginForm"},
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _favicon}],
    "SHOW_HISTORY": False,
    "COLORS": _no_colours,
    "DASHBOARD_CALLBACK": "overview.dashboard.context",
    "SIDEBAR": {"navigation": navigation},
}


def login(request: HttpRequest) -> HttpResponseBase:
    """Show the admin's login, which leads to the admin unless the address says to where."""
    if request.method == "GET" and REDIRECT_FIELD_NAME not in request.GET:
        return redirect(
            f"{request.path}?{urlencode({REDIRECT_FIELD_NAME: reverse('admin:index')})}"
        )
    return admin.site.login(request)


def password_change(request: HttpRequest) -> HttpResponseBase:
    """Let whoever is logged in choose another password, through the service that records it."""
    # As in `navigation`.
    from django.contrib.auth.views import PasswordChangeView  # noqa: PLC0415

    from accounts.admin_forms import OwnPasswordForm  # noqa: PLC0415

    view = PasswordChangeView.as_view(
        form_class=OwnPasswordForm,
        success_url=reverse("admin:password_change_done"),
        extra_context=admin.site.each_context(request),
    )
    return view(request)
