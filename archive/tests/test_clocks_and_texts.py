"""Hours come from PostgreSQL's clock alone, and every text comes through all tiers as it was."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import libfaketime  # type: ignore[import-untyped]
import pytest
from django.db import connection, transaction

from archive import backup as backups
from archive import purge, restore, trim
from archive.hours import hour_from, hour_path
from archive.models import Segment
from archive.tests.conftest import keys
from archive.tests.test_restoring import back, wipe
from archive.tests.world import (
    bucket,
    chat_of,
    command,
    date,
    every,
    in_bucket,
    moment,
    read,
    talk,
    told,
)
from archive.verify import verify
from common.tests.servers import at_once
from messaging.models import Chat, Message
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
(FAKETIME,) = list(Path(libfaketime.__file__).parent.rglob("libfaketime.so.1"))[:1]


@pytest.fixture(autouse=True)
def _small(settings):
    settings.HOT_MESSAGES_PER_CHAT = 5
    settings.DB_MESSAGES_PER_CHAT = 10


@pytest.fixture
def people():
    return Person("ada"), Person("bob")


def clock() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now


def wrong(offset: str) -> dict[str, str]:
    """Return the environment of a process whose clock is that far off."""
    return {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME": offset,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DISABLE_SHM": "1",
        "HOT_MESSAGES_PER_CHAT": "5",
        "DB_MESSAGES_PER_CHAT": "10",
    }


@pytest.mark.parametrize("offset", ["+1h", "-1h", "+30h"])
def test_a_worker_whose_clock_is_wrong_takes_the_right_hours(people, offset):
    ada, bob = people
    start = clock().replace(minute=0, second=0, microsecond=0)
    chat_id = talk(ada, bob, [start - timedelta(minutes=2 * n) for n in range(20, 0, -1)])
    running = hour_from(clock())
    ada.say(bob, "in the running hour")
    result = command("backup", "--json", **wrong(offset))
    report = json.loads(result.stdout)
    if hour_from(clock()) == running:
        assert datetime.fromisoformat(report["until"]) == start, "by PostgreSQL's clock"
    dry = json.loads(command("purge", "--dry-run", "--json", **wrong(offset)).stdout)
    ago = clock() - datetime.fromisoformat(dry["before"])
    assert timedelta(0) <= ago - timedelta(days=90) < timedelta(minutes=5)
    if result.returncode:
        # A store refuses what is signed by a clock more than a quarter of an hour off: that is
        # said, and nothing recorded.
        assert "RequestTimeTooSkewed" in " ".join(report["failures"])
        assert all("clock of the machine" in failure for failure in report["failures"])
        assert not Segment.objects.exists()
        assert command("backup").returncode == 0
        assert [m["seq"] for m in in_bucket(ada, chat_id)][:20] == list(range(1, 21))
        return
    if hour_from(clock()) != running:
        pytest.skip("the hour ended meanwhile")
    assert [m["seq"] for m in in_bucket(ada, chat_id)] == list(range(1, 21))
    assert {key.split("/", 1)[1] for key in keys(f"{ada.id}/")} == {
        f"{hour_path(hour_from(start - timedelta(hours=1)))}/{chat_id}"
    }
    before = told(bob, chat_id)
    assert command("trim", **wrong(offset)).returncode == 0
    assert told(bob, chat_id) == before
    assert list(Message.objects.order_by("seq").values_list("seq", flat=True)) == list(
        range(12, 22)
    )
    assert command("purge", **wrong(offset), ARCHIVE_RETENTION_DAYS="1").returncode == 0
    assert len(keys(f"{ada.id}/")) == 1, "nothing younger than Z, by any other clock"


def test_daylight_saving_where_the_worker_is_changes_no_key_and_no_byte(people):
    ada, bob = people
    times = [
        # Central Europe: 2 to 3 in spring, 3 to 2 in autumn; New York on other days.
        *every(20, 12, "2025-10-26 00:00:00"), *every(20, 12, "2025-11-02 04:30:00"),
        *every(20, 12, "2026-03-08 05:30:00"), *every(20, 12, "2026-03-29 00:00:00"),
    ]  # fmt: skip
    talk(ada, bob, times)
    assert backups.backup()["ok"]
    before = bucket()
    for zone in ("Europe/Berlin", "America/New_York", "Asia/Kolkata"):
        Segment.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM archive_watermark")
        result = command("backup", TZ=zone, PGTZ=zone)
        assert result.returncode == 0, result.stderr
        assert bucket() == before


@pytest.mark.parametrize(
    ("time", "path"),
    [
        ("2026-12-31 23:59:59.999999", "2026/365/23"), ("2027-01-01 00:00:00", "2027/001/00"),
        ("2028-12-31 23:00:00", "2028/366/23"), ("2029-01-01 00:59:59", "2029/001/00"),
        ("2028-02-29 12:00:00", "2028/060/12"), ("2100-12-31 23:00:00", "2100/365/23"),
    ],
)  # fmt: skip
def test_years_end_where_the_calendar_says(time, path):
    assert hour_path(hour_from(moment(time))) == path


def test_a_chat_over_leap_days_and_years_ends_lies_where_the_calendar_says(people):
    ada, bob = people
    ends = {
        "2024-02-29 23:59:59.999999": "2024/060/23", "2024-03-01 00:00:00": "2024/061/00",
        "2024-12-31 23:59:59.999999": "2024/366/23", "2025-01-01 00:00:00": "2025/001/00",
        "2025-12-31 23:59:59.999999": "2025/365/23", "2026-01-01 00:00:00": "2026/001/00",
    }  # fmt: skip
    chat_id = talk(ada, bob, [*map(moment, ends), *every(1, 12)])
    sent = told(bob, chat_id)
    assert backups.backup()["ok"]
    paths = [*ends.values(), "2026/007/03"]
    assert keys(f"{ada.id}/") == [f"{ada.id}/{path}/{chat_id}" for path in paths]
    assert [read(key)["messages"][0]["seq"] for key in keys(f"{ada.id}/")] == list(range(1, 8))
    assert trim.trim()["messages"] == 8
    assert told(bob, chat_id) == sent
    wipe()
    assert restore.restore()["messages"] == 18
    back(bob)
    assert told(bob, chat_id) == sent


def test_a_message_whose_commit_comes_after_its_hours_backup_is_in_the_next(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(1, 3))
    other = chat_of(ada.say(Person("eve"), "of another chat"))
    sent, leave = threading.Event(), threading.Event()

    def send_slowly() -> None:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL transaction_timeout = 0")
            ada.say(bob, "committed late")
            sent.set()
            leave.wait(60)
        connection.close()

    thread = threading.Thread(target=send_slowly)
    thread.start()
    assert sent.wait(60)
    try:
        first = backups.backup(now=True)
    finally:
        leave.set()
        thread.join()
    assert first["ok"]
    assert [m["seq"] for m in in_bucket(ada, chat_id)] == [1, 2, 3]
    assert len(in_bucket(ada, other)) == 1
    assert Message.objects.get(chat=chat_id, seq=4).sent_at < datetime.fromisoformat(first["until"])
    second = backups.backup(now=True)
    assert (second["ok"], second["messages"]) == (True, 1)
    assert [m["text"] for m in in_bucket(bob, chat_id)][-1] == "committed late"
    assert in_bucket(bob, chat_id) == told(bob, chat_id)


def test_an_hour_of_one_message(people):
    ada, bob = people
    chat_id = talk(ada, bob, [moment("2026-01-07 03:59:59.999999")])
    assert backups.backup()["objects"] == 2
    found = read(f"{ada.id}/2026/007/03/{chat_id}")
    assert (found["metadata"]["first-seq"], found["metadata"]["last-seq"]) == ("1", "1")
    assert found["messages"] == told(ada, chat_id)
    wipe()
    assert restore.restore()["messages"] == 1
    back(ada)
    assert told(ada, chat_id) == found["messages"]


def strange_texts() -> list[str]:
    """Texts of every plane of Unicode, and of what breaks lines, quotes and columns."""
    planes = [
        "".join(
            chr(plane << 16 | low) for low in (0x0021, 0x00E9, 0x4E00, 0x1F600 & 0xFFFF, 0xFFFD)
        )
        for plane in range(17)
    ]
    ends = [chr((plane << 16) | 0xFFFF) + chr((plane << 16) | 0xFFFE) for plane in range(17)]
    breaks = [
        "\n", "\r\n", "\r", "a\nb\n", "\n\n\n", "\u2028\u2029\x85", "\x0b\x0c\x1c\x1d\x1e", "\t", " ",
        "\\", "\\n", "\\N", "\\.", '"', "'", "{}", '","seq":9', "\x01\x02\x1f\x7f", "|", "\ufeff",
        "e\u0301 \u00e9 \ufb01", "👩‍👩‍👧‍👦🏳️‍🌈", "\u202eright to left", "א ب", "\ud7ff\ue000",
    ]  # fmt: skip
    return [*planes, *ends, *breaks, "".join(breaks), "x" * 4096, "\U0010ffff" * 4096]


def test_texts_of_every_plane_come_through_backup_trim_and_restore_as_they_were(people):
    ada, bob = people
    texts = strange_texts()
    for text in texts:
        sent = ada.say(bob, text, f"id {len(text)} {hash(text)}"[:64])
    chat_id = chat_of(sent)
    date(chat_id, every(11, len(texts)))
    before = {person.id: told(person, chat_id) for person in people}
    assert [m["text"] for m in before[bob.id]] == texts
    assert backups.backup()["ok"]
    assert trim.trim()["ok"]
    assert Message.objects.count() == 10
    for person in people:
        assert told(person, chat_id) == in_bucket(person, chat_id) == before[person.id]
    assert verify()["ok"]
    wipe()
    assert restore.restore()["ok"]
    for person in people:
        back(person)
        assert told(person, chat_id) == before[person.id]


def test_y_lowered_below_what_is_archived_trims_more_and_raised_brings_nothing_back(
    people, settings
):
    ada, bob = people
    chat_id = talk(ada, bob, every(7, 40))
    before = told(bob, chat_id)
    backups.backup()
    settings.DB_MESSAGES_PER_CHAT = 30
    assert trim.trim()["messages"] == 10
    settings.DB_MESSAGES_PER_CHAT = settings.HOT_MESSAGES_PER_CHAT = 3
    assert trim.trim()["messages"] == 27
    assert told(bob, chat_id) == before
    settings.DB_MESSAGES_PER_CHAT = 30
    assert trim.trim()["messages"] == 0
    assert Message.objects.count() == 3
    assert told(bob, chat_id) == before
    ada.say(bob, "goes on")
    assert [m["seq"] for m in told(ada, chat_id)] == list(range(1, 42))


def test_y_lowered_below_what_is_archived_yet_keeps_what_is_not(people, settings):
    ada, bob = people
    chat_id = talk(ada, bob, every(7, 20))
    backups.backup()
    for number in range(20):
        ada.say(bob, f"in the running hour {number}")
    before = told(bob, chat_id)
    settings.DB_MESSAGES_PER_CHAT = settings.HOT_MESSAGES_PER_CHAT = 1
    assert trim.trim()["messages"] == 20
    assert Chat.objects.get().db_seq == 21
    assert told(bob, chat_id) == before


def test_z_lowered_takes_more_and_raised_again_keeps_the_rest(people, settings):
    ada, bob = people
    noon = clock().replace(minute=0, second=0, microsecond=0)
    chat_id = talk(ada, bob, [noon - timedelta(days=40 - n, minutes=1) for n in range(40)])
    before = told(bob, chat_id)
    backups.backup()
    trim.trim()
    settings.ARCHIVE_RETENTION_DAYS = 60
    assert purge.purge()["deleted"] == 0
    settings.ARCHIVE_RETENTION_DAYS = 20
    assert purge.purge()["deleted"] == 42
    assert told(bob, chat_id) == before[21:]
    assert Chat.objects.get().start_seq == 22
    settings.ARCHIVE_RETENTION_DAYS = 60
    assert purge.purge()["deleted"] == 0
    assert told(bob, chat_id) == before[21:]
    assert verify()["ok"]
    assert backups.backup()["messages"] == 0


def test_a_purge_and_a_restore_at_once_leave_what_is_young_and_nothing_old(people, settings):
    ada, bob = people
    now = clock().astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    settings.ARCHIVE_RETENTION_DAYS = 60
    chats = {
        other.id: talk(ada, other, [now - timedelta(days=40 - n) for n in range(40)])
        for other in (bob, Person(), Person())
    }
    before = {chat_id: told(ada, chat_id) for chat_id in chats.values()}
    backups.backup()
    wipe()
    restore.restore()
    settings.ARCHIVE_RETENTION_DAYS = 20
    at_once(2, lambda n: (purge.purge, restore.restore)[n]())
    purge.purge()
    report = restore.restore()
    assert report["ok"], report
    trim.trim()
    assert purge.purge()["ok"]
    back(ada)
    for chat_id, lines in before.items():
        young = [
            m for m in lines if datetime.fromisoformat(m["sent_at"]) >= now - timedelta(days=19)
        ]
        found = told(ada, chat_id)
        assert found[-len(young) :] == young
        assert found == lines[-len(found) :]
    assert verify()["ok"]
