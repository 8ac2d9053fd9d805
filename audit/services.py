"""The one write of the audit log."""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Model

from audit import actors
from audit.actors import Actor
from audit.models import NAME_MAX_CHARS, Action, Entry

logger = logging.getLogger(__name__)


class Target(NamedTuple):
    """What something was done to, where no row stands for it: its kind, its id, its name."""

    kind: str
    id: UUID | str | int = ""
    name: str = ""


NOTHING = Target("")


def record(
    action: Action,
    *,
    by: Actor | None = None,
    target: Model | Target = NOTHING,
    reason: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Entry:
    """Record what was done and return the entry; by the current actor unless one is named.

    Call it inside the transaction of the act and last in it: the entry stands exactly if the act
    does, and its lock is held until the commit. `before` and `after` hold what JSON can hold:
    never a message's text, a token or a password.
    """
    who = by or actors.current()
    if isinstance(target, Model):
        target = Target(target._meta.model_name or "", target.pk, str(target))
    with transaction.atomic():
        entry = Entry.objects.create(
            actor_kind=who.kind,
            actor_id=who.id,
            actor_name=_plain(who.name),
            address=who.address,
            action=action,
            target_kind=target.kind,
            target_id=_plain(str(target.id)),
            target_name=_plain(target.name),
            reason=reason.replace("\0", ""),
            before=before,
            after=after,
            session=who.session,
            request_id=who.request_id,
        )
        entry.refresh_from_db(fields=["at", "previous", "hash"])
    # A second place that says how far the log had got: see `manage.py audit --expect`.
    transaction.on_commit(
        lambda: logger.info("audit entry %d %s: %s", entry.pk, bytes(entry.hash).hex(), action)
    )
    return entry


def _plain(text: str) -> str:
    return text.replace("\0", "")[:NAME_MAX_CHARS]
