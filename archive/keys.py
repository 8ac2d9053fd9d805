"""What is known of the archive's keys: which is in use, and whether a copy is kept elsewhere."""

from datetime import datetime

from django.db.models.functions import Now

from archive.models import ArchiveKey
from common import archive_key


def current() -> ArchiveKey:
    """Return the row of the key that signs, made when it is first seen."""
    key, _ = ArchiveKey.objects.get_or_create(key_id=archive_key.current_id())
    return key


def confirmed() -> datetime | None:
    """Return since when the key that signs is known to be kept elsewhere; None where it is not."""
    found = ArchiveKey.objects.filter(key_id=archive_key.current_id())
    return found.values_list("confirmed_at", flat=True).first()


def confirm(*, by: str) -> ArchiveKey:
    """Note that every key of the ring is kept elsewhere; return the one that signs."""
    for key_id in reversed(archive_key.ids()):
        key, _ = ArchiveKey.objects.get_or_create(key_id=key_id)
        ArchiveKey.objects.filter(pk=key.pk).update(confirmed_at=Now(), confirmed_by=by)
    return ArchiveKey.objects.get(pk=archive_key.current_id())
