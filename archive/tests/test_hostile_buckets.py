"""Somebody else writes to the bucket: no wrong line, no memory eaten, nothing made worse."""

import gzip
import os
import tracemalloc
import zlib

import pytest

from archive import backup as backups
from archive import restore, store, trim
from archive.hours import LINE_MOST_BYTES, Damaged, split_lines
from archive.models import HourObject, Segment
from archive.tests.conftest import keys
from archive.tests.world import every, overwrite, read, talk, told
from archive.verify import verify
from common.cache import cache
from messaging.models import Chat
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
MEGABYTE = 1024 * 1024


@pytest.fixture
def trimmed(settings):
    settings.HOT_MESSAGES_PER_CHAT = 5
    settings.DB_MESSAGES_PER_CHAT = 10
    ada, bob = Person("ada"), Person("bob")
    chat_id = talk(ada, bob, every(20, 40))
    backups.backup()
    trim.trim()
    cache.execute("FLUSHDB")
    return ada, bob, chat_id


def bomb(line_end: bytes) -> bytes:
    """Return a small object that unpacks to a quarter of a gigabyte."""
    pack = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    block = b"a" * (MEGABYTE - len(line_end)) + line_end
    return b"".join(pack.compress(block) for _ in range(256)) + pack.flush()


@pytest.mark.parametrize("line_end", [b"", b"\n"])
def test_a_bomb_takes_little_memory_and_is_no_page(trimmed, line_end):
    ada, _, chat_id = trimmed
    raw = bomb(line_end)
    key = next(key for key in keys(f"{ada.id}/") if "/03/" in key)
    held = read(key)
    overwrite(key, raw)
    tracemalloc.start()
    try:
        page = ada.client.get(f"/chats/{chat_id}/messages/?before=3")
        download = ada.client.get(f"/archive/2026/007/03/{chat_id}/")
        wrong = verify()
        mended = verify(repair=True)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (page.status_code, download.status_code) == (503, 503)
    assert (wrong["ok"], wrong["wrong"], mended["repaired"]) == (False, 1, 1)
    assert most < 5 * LINE_MOST_BYTES
    assert read(key) == held


def test_what_has_no_line_end_is_not_taken_in_whole():
    with pytest.raises(Damaged):
        list(split_lines(b"a" * MEGABYTE for _ in range(64)))


def test_a_huge_object_in_a_small_ones_place_is_not_taken_in_whole(trimmed):
    ada, _, chat_id = trimmed
    key = next(key for key in keys(f"{ada.id}/") if "/03/" in key)
    overwrite(key, gzip.compress(os.urandom(48 * MEGABYTE), 0))
    tracemalloc.start()
    try:
        page = ada.client.get(f"/chats/{chat_id}/messages/?before=3")
        download = ada.client.get(f"/archive/2026/007/03/{chat_id}/")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (page.status_code, download.status_code) == (503, 503)
    assert most < 5 * LINE_MOST_BYTES


def test_a_try_to_restore_around_a_lost_hour_leaves_what_is_there_readable(trimmed):
    _, bob, chat_id = trimmed
    before = told(bob, chat_id)
    lost = [key for key in keys() if "/05/" in key and not key.startswith("_system/")]
    assert len(lost) == 2
    store.patient.delete(lost)
    index = (Chat.objects.values().get(), Segment.objects.count(), HourObject.objects.count())
    report = restore.restore(chat_id=chat_id)
    assert report["ok"] is False
    assert "is in no object" in " ".join(report["failures"])
    after = (Chat.objects.values().get(), Segment.objects.count(), HourObject.objects.count())
    assert after == index
    cache.execute("FLUSHDB")
    page = bob.client.get(f"/chats/{chat_id}/messages/?before=7&limit=6")
    assert page.json()["results"] == before[:6]
    assert bob.client.get(f"/chats/{chat_id}/messages/?before=9&limit=2").status_code == 503
