"""What Django reports by signals: logins, and what its admin notes of added and changed rows."""

from typing import Any

from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_save
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from audit import actors
from audit.models import Action
from audit.repeated import record_repeated
from audit.services import NOTHING, Target, record


def connect() -> None:
    """Listen."""
    user_logged_in.connect(logged_in, dispatch_uid="audit")
    user_logged_out.connect(logged_out, dispatch_uid="audit")
    user_login_failed.connect(login_failed, dispatch_uid="audit")
    post_save.connect(admin_changed, sender=LogEntry, dispatch_uid="audit")


def logged_in(sender: Any, request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    """Record that somebody of the staff has begun a session, by whichever door."""
    if request is not None and user.is_staff:
        record(Action.LOGIN, by=actors.of_request(request, user), target=user)


def logged_out(sender: Any, request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    """Record that somebody of the staff has ended a session."""
    if request is not None and user is not None and user.is_staff:
        record(Action.LOGOUT, by=actors.of_request(request, user), target=user)


def login_failed(
    sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
) -> None:
    """Record an attempt at the admin's login, or at a name of the staff by another door.

    A name that nobody has is not kept: people type passwords into the wrong field.
    """
    if request is None:
        return
    users = get_user_model().objects
    try:
        user = users.get_by_natural_key(str(credentials.get("username") or ""))
    except get_user_model().DoesNotExist:
        user = None
    if not _at_admin(request) and not (user and user.is_staff):
        return
    record_repeated(Action.LOGIN_FAILED, by=actors.of_request(request), target=user or NOTHING)


def _at_admin(request: HttpRequest) -> bool:
    try:
        return request.path.startswith(reverse("admin:index"))
    except NoReverseMatch:
        return False


def admin_changed(sender: Any, instance: LogEntry, created: bool, **kwargs: Any) -> None:
    """Record what the admin's own log notes."""
    if not created:
        return
    action = {ADDITION: Action.ADMIN_ADD, DELETION: Action.ADMIN_DELETE}.get(
        instance.action_flag, Action.ADMIN_CHANGE
    )
    content_type: Any = instance.content_type
    record(
        action,
        target=Target(
            content_type.model if content_type else "",
            instance.object_id or "",
            instance.object_repr,
        ),
        after={"note": instance.get_change_message()},
    )
