"""Personal export: asking for a ZIP of all that one may read and is. It is kept for a day.

`POST /export` leaves a row and a task; `export_making` makes the ZIP, and writes it to the bucket
below the user's own prefix, so that who deletes the prefix deletes it too. What is here is what a
web worker needs, which has no S3 client until somebody asks for something.
"""

import logging
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from celery import current_app
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from archive.models import Export
from common.errors import Unavailable
from common.ids import parse_id

logger = logging.getLogger(__name__)
KEPT: Final = timedelta(days=1)
CONTENT_TYPE: Final = "application/zip"
QUEUE_SECONDS: Final = 2.0
"""A request waits no longer for the queue to take its work."""
UNDER_WAY: Final = Q(state__in=[Export.State.WAITING, Export.State.RUNNING])
_FOLDER: Final = "export"


class ExportsUnavailable(Unavailable):
    """The queue takes no work right now."""

    default_code = "export_unavailable"
    default_detail = "An export can't be begun for a moment. Send the same request again."


def key_of_export(user_id: UUID, export_id: UUID) -> str:
    """Return where a user's export lies: below their prefix, as all that is theirs."""
    return f"{user_id}/{_FOLDER}/{export_id}.zip"


def parse_export_key(key: str) -> tuple[UUID, UUID] | None:
    """Return the user and export that a key names; None for what is no export's key."""
    user, _, rest = key.partition("/")
    folder, _, name = rest.partition("/")
    user_id, export_id = parse_id(user), parse_id(name.removesuffix(".zip"))
    if user_id is None or export_id is None or folder != _FOLDER:
        return None
    return (user_id, export_id) if key == key_of_export(user_id, export_id) else None


def asked_at(export_id: UUID) -> int:
    """Return when an export was asked for, in milliseconds since 1970: a UUIDv7 says it."""
    return export_id.int >> 80


def ask_for_export(*, user_id: UUID) -> tuple[Export, bool]:
    """Return the user's export that is being made or fresh, else a new one; and whether it is new.

    Raises ArchiveUnavailable, ExportsUnavailable; there is no new one then.
    """
    from archive import store  # noqa: PLC0415 - 17 MB that not every web worker needs

    found = _live(user_id)
    if found is not None:
        return found, False
    store.brisk.check_awake()
    try:
        store.brisk.check_reachable()
    except store.ArchiveUnavailable:
        store.brisk.failed()
        raise
    try:
        with transaction.atomic():
            Export.objects.filter(
                user=user_id, state=Export.State.READY, expires_at__lte=Now()
            ).update(state=Export.State.WITHDRAWN)
            export = Export.objects.create(user_id=user_id)
    except IntegrityError:
        # Another request of theirs came first.
        found = _live(user_id)
        if found is None:
            raise ExportsUnavailable from None
        return found, False
    try:
        enqueue_export(export.pk)
    except Exception as error:
        logger.warning("export %s: the queue does not take it: %s", export.pk, error)
        Export.objects.filter(pk=export.pk, state=Export.State.WAITING, attempt=0).delete()
        raise ExportsUnavailable from error
    export.refresh_from_db()
    return export, True


def _live(user_id: UUID) -> Export | None:
    return (
        Export.objects.filter(user=user_id)
        .filter(UNDER_WAY | Q(state=Export.State.READY, expires_at__gt=Now()))
        .first()
    )


def enqueue_export(export_id: UUID) -> None:
    """Put the making of an export into the queue.

    Raises whatever the queue's client does, within seconds when the queue is away or hangs.
    """
    patience = {"socket_timeout": QUEUE_SECONDS, "socket_connect_timeout": QUEUE_SECONDS}
    options: dict[str, Any] = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, **patience}
    with current_app.connection_for_write(
        connect_timeout=QUEUE_SECONDS, transport_options=options
    ) as queue:
        # By its name: the task's own module brings all that making one needs.
        current_app.send_task(
            "archive.tasks.make_export", (str(export_id),), connection=queue, retry=False
        )


def lost(*, export: Export) -> None:
    """Note that a ready export's object is gone, so that its user can ask for another."""
    Export.objects.filter(pk=export.pk, state=Export.State.READY).update(
        state=Export.State.FAILED, detail="Its file is gone. Ask again."
    )
