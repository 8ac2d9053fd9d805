"""The one write of the audit log."""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db import transaction
from django.db.models import Model

from audit import actors
from audit.actors import Actor
from audit.models import NAME_MAX_CHARS, Action, Entry
from audit.sql import read_sql
from common.database import row

logger = logging.getLogger(__name__)
_RECORD = read_sql("record.sql")


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
    fields: dict[str, Any] = {
        "actor_kind": str(who.kind),
        "actor_id": who.id,
        "actor_name": _plain(who.name),
        "address": who.address,
        "action": str(action),
        "target_kind": target.kind,
        "target_id": _plain(str(target.id)),
        "target_name": _plain(target.name),
        "reason": reason.replace("\0", ""),
        "session": who.session,
        "request_id": who.request_id,
    }
    id_, at, previous, digest = row(
        _RECORD, fields | {"before": _json(before), "after": _json(after)}
    )
    entry = Entry(
        id=id_, at=at, previous=previous, hash=digest, before=before, after=after, **fields
    )
    # A second place that says how far the log had got: see `manage.py audit --expect`.
    transaction.on_commit(
        lambda: logger.info("audit entry %d %s: %s", entry.pk, bytes(entry.hash).hex(), action)
    )
    return entry


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(_without_nul(value)).decode()


def _without_nul(value: Any) -> Any:
    """Return JSON data without U+0000, which jsonb does not take."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, Mapping):
        return {_without_nul(key): _without_nul(one) for key, one in value.items()}
    return [_without_nul(one) for one in value] if isinstance(value, list | tuple) else value


def _plain(text: str) -> str:
    return text.replace("\0", "")[:NAME_MAX_CHARS]
