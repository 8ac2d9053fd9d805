"""Writes that change what an account may do: bans, ended tokens and sessions, new passwords.

Each is one transaction, asks the actor's rights, and leaves an entry in the audit log exactly if
something changed. The cache is told after the commit.
"""

from datetime import datetime
from functools import partial
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework.exceptions import ErrorDetail, ValidationError

from accounts import tokens
from accounts.models import Block, Token, User
from accounts.rights import require, require_above
from audit import actors
from audit.actors import Actor
from audit.models import Action
from audit.services import Target, record
from common.times import rfc3339

ENDED_AT_ONCE = 500


def ban_user(
    *, user: User, reason: str = "", until: datetime | None = None, by: Actor | None = None
) -> User:
    """Shut a user out: no token, no browser session, no login. Their messages stay.

    It ends by itself at `until`, or never (None). Banning again changes the terms; the first
    reason stays where none is given. Raises NotYours, NotToThem, and ValidationError for an end
    that has passed.
    """
    by = by or actors.current()
    require(by, "accounts.change_user")
    require_above(by, user)
    if until is not None and until <= timezone.now():
        raise ValidationError({"until": [ErrorDetail("A ban must end in the future.", "invalid")]})
    with transaction.atomic():
        # Before the tokens, see login.
        locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        before = terms(locked)
        reason = reason or locked.ban_reason
        if locked.is_active or (locked.ban_reason, locked.banned_until) != (reason, until):
            if locked.is_active:
                # Sessions of before carry the old number, and so end with no later unban undone.
                User.objects.filter(pk=user.pk).update(
                    is_active=False, banned_at=Now(), session_epoch=F("session_epoch") + 1
                )
            User.objects.filter(pk=user.pk).update(ban_reason=reason, banned_until=until)
        revoke(Token.objects.filter(user=user))
        _refresh(user)
        if terms(user) != before:
            record(Action.BAN, by=by, target=user, reason=reason, before=before, after=terms(user))
    return user


def unban_user(*, user: User, reason: str = "", by: Actor | None = None) -> User:
    """Let a banned user log in again. Revoked tokens and ended sessions stay so."""
    by = by or actors.current()
    require(by, "accounts.change_user")
    require_above(by, user)
    with transaction.atomic():
        _unban(user, Action.UNBAN, by, reason)
    return user


def unban_if_over(user: User) -> bool:
    """Let a user in whose ban has ended, whether or not the task has been there; say if so."""
    if user.is_active or user.banned_until is None or user.banned_until > timezone.now():
        return False
    with transaction.atomic():
        locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        # It may have been prolonged meanwhile.
        over = locked.banned_until is not None and locked.banned_until <= timezone.now()
        if over and not locked.is_active:
            _unban(user, Action.BAN_ENDED, actors.process(), "")
        else:
            _refresh(user)
    return user.is_active


def end_bans() -> int:
    """Let in everybody whose ban has ended; return how many."""
    ended = 0
    over = User.objects.filter(is_active=False, banned_until__lte=Now()).order_by("pk")
    for user in over[:ENDED_AT_ONCE]:
        ended += unban_if_over(user)
    return ended


def revoke_tokens(*, user: User, reason: str = "", by: Actor | None = None) -> int:
    """Revoke all tokens of a user and end their browser sessions; return how many tokens."""
    by = by or actors.current()
    require(by, "accounts.change_user")
    require_above(by, user)
    with transaction.atomic():
        count = _shut_doors(user)
        record(Action.REVOKE_TOKENS, by=by, target=user, reason=reason, after={"tokens": count})
    return count


def revoke_token(*, token_id: int, reason: str = "", by: Actor | None = None) -> int:
    """Revoke a token by its row; return 0 when it was revoked already."""
    by = by or actors.current()
    require(by, "accounts.change_user")
    token = Token.objects.select_related("user").filter(pk=token_id).first()
    if token is None:
        return 0
    require_above(by, token.user)
    with transaction.atomic():
        count = revoke(Token.objects.filter(pk=token_id))
        if count:
            record(
                Action.REVOKE_TOKENS,
                by=by,
                target=token.user,
                reason=reason,
                after={"token": token_id},
            )
    return count


def reset_password(
    *, user: User, password: str | None, reason: str = "", by: Actor | None = None
) -> User:
    """Give a user another password, or none; whoever was logged in as them is not any more.

    Who sets a password can log in with it, so this is a right of its own. Raises ValidationError
    for one that is too weak.
    """
    by = by or actors.current()
    require(by, "accounts.reset_password")
    require_above(by, user)
    if password is not None:
        check_password(password, user)
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        user.set_password(password)
        user.save(update_fields=["password"])
        count = _shut_doors(user)
        record(
            Action.RESET_PASSWORD,
            by=by,
            target=user,
            reason=reason,
            after={"password": password is not None, "tokens": count},
        )
    return user


def change_own_password(*, user: User, password: str) -> User:
    """Give a user the password that they chose, having shown that they know the old one.

    Whoever else was logged in as them is not any more, by a token or a session. Raises
    ValidationError for one that is too weak.
    """
    check_password(password, user)
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        user.set_password(password)
        user.save(update_fields=["password"])
        count = _shut_doors(user)
        record(Action.CHANGE_PASSWORD, target=user, after={"tokens": count})
    return user


def lift_block(*, block: Block, reason: str = "", by: Actor | None = None) -> bool:
    """Lift one user's block of another in their place; return False when it was lifted already.

    Nobody lifts one that is against themself: it is there to keep them off. Raises NotYours,
    NotToThem.
    """
    by = by or actors.current()
    require(by, "accounts.delete_block")
    require_above(by, block.blocker)
    require_above(by, block.blocked)
    with transaction.atomic():
        deleted, _ = Block.objects.filter(pk=block.pk).delete()
        if deleted:
            pair = {"blocker": str(block.blocker_id), "blocked": str(block.blocked_id)}
            name = f"{block.blocker} blocks {block.blocked}"
            record(
                Action.LIFT_BLOCK,
                by=by,
                target=Target("block", block.blocker_id, name),
                reason=reason,
                before=pair,
            )
    return bool(deleted)


def revoke(which: QuerySet[Token]) -> int:
    """Revoke tokens and, once that is committed, delete them from the cache; asks no rights."""
    # Locked in the order of their ids, as the task that saves their uses does: no deadlock.
    rows = list(
        which.filter(revoked_at__isnull=True)
        .select_for_update(no_key=True)
        .order_by("pk")
        .values_list("pk", "digest")
    )
    Token.objects.filter(pk__in=[pk for pk, _ in rows]).update(revoked_at=Now())
    digests = [bytes(digest) for _, digest in rows]
    transaction.on_commit(partial(tokens.forget, digests))
    return len(rows)


def check_password(password: str, user: User) -> None:
    """Raise ValidationError (a 400 for the field `password`) for a password that is too weak."""
    try:
        validate_password(password, user)
    except DjangoValidationError as error:
        raise ValidationError(
            {
                "password": [
                    ErrorDetail(" ".join(one.messages), one.code or "invalid")
                    for one in error.error_list
                ]
            }
        ) from error


def terms(user: User) -> dict[str, Any]:
    """Return how a user stands, as the audit log keeps it."""
    return {
        "banned": not user.is_active,
        "reason": user.ban_reason,
        "until": rfc3339(user.banned_until) if user.banned_until else None,
    }


def _unban(user: User, action: Action, by: Actor, reason: str) -> None:
    _refresh(user)
    before = terms(user)
    User.objects.filter(pk=user.pk).update(
        is_active=True, banned_at=None, banned_until=None, ban_reason=""
    )
    _refresh(user)
    if terms(user) != before:
        record(action, by=by, target=user, reason=reason, before=before, after=terms(user))


def _shut_doors(user: User) -> int:
    """Revoke a user's tokens and end their sessions; return how many tokens."""
    User.objects.filter(pk=user.pk).update(session_epoch=F("session_epoch") + 1)
    count = revoke(Token.objects.filter(user=user))
    user.refresh_from_db(fields=["session_epoch"])
    return count


def _refresh(user: User) -> None:
    user.refresh_from_db(
        fields=["is_active", "banned_at", "banned_until", "ban_reason", "session_epoch"]
    )
