"""Trim: only what is beyond the last Y, over, and seen to be in cold storage for everyone."""

import pytest

from archive import backup as backups
from archive import store, trim
from archive.tests.world import (
    bucket,
    command,
    date,
    every,
    in_bucket,
    moment,
    overwrite,
    read,
    talk,
    told,
)
from archive.verify import verify
from common.tests.servers import at_once
from messaging.models import Chat, Message, TrimmedSend
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _small(settings):
    settings.HOT_MESSAGES_PER_CHAT = 5
    settings.DB_MESSAGES_PER_CHAT = 10


@pytest.fixture
def people():
    return Person("ada"), Person("bob")


def seqs() -> list[int]:
    return list(Message.objects.order_by("seq").values_list("seq", flat=True))


def test_what_is_beyond_the_last_y_leaves_and_stays_readable(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(7, 40))
    before = {person.id: told(person, chat_id) for person in people}
    assert trim.trim()["messages"] == 0, "nothing is in cold storage yet"
    backups.backup()
    assert trim.trim(dry_run=True)["messages"] == 30
    report = trim.trim()
    assert report["ok"]
    assert report["messages"] == 30
    assert seqs() == list(range(31, 41))
    assert Chat.objects.get().db_seq == 31
    assert Chat.objects.get().start_seq == 1
    for person in people:
        assert told(person, chat_id) == before[person.id]
    assert trim.trim()["messages"] == 0


def test_a_client_id_is_remembered_with_its_text(people):
    ada, bob = people
    talk(ada, bob, every(7, 40))
    backups.backup()
    trim.trim()
    kept = TrimmedSend.objects.get(seq=1)
    assert (kept.sender_id, kept.client_id) == (ada.id, "id 1")
    body = {"recipient_id": str(bob.id), "client_id": "id 1"}
    again = ada.post("/send_message", text="text 1", **body)
    assert (again.status_code, again.json()["seq"]) == (200, 1)
    assert again.json()["sent_at"] == "2026-01-07T03:00:00.000000Z"
    assert ada.post("/send_message", text="another", **body).status_code == 409
    assert (
        bob.post("/send_message", text="x", recipient_id=str(ada.id), client_id="id 1").status_code
        == 201
    )


def test_an_hour_that_has_not_ended_stays(people):
    ada, bob = people
    for number in range(30):
        ada.say(bob, f"{number}")
    backups.backup(now=True)
    assert trim.trim()["messages"] == 0
    assert len(seqs()) == 30


def test_a_lost_or_damaged_object_is_written_again_before_its_messages_leave(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(1, 30))
    backups.backup()
    before = bucket()
    mine, hers = (f"{person.id}/2026/007/03/{chat_id}" for person in (bob, ada))
    store.patient.delete([mine])
    overwrite(hers, before[hers][:-3])
    report = trim.trim()
    assert (report["wrong"], report["repaired"], report["messages"]) == (2, 2, 20)
    assert bucket() == before


def test_without_the_bucket_nothing_leaves(people):
    ada, bob = people
    talk(ada, bob, every(1, 30))
    backups.backup()
    result = command("trim", S3_ENDPOINT_URL="http://127.0.0.1:9", DB_MESSAGES_PER_CHAT="10",
                     HOT_MESSAGES_PER_CHAT="5")  # fmt: skip
    assert result.returncode == 1
    assert len(seqs()) == 30


def test_a_later_backup_of_the_hour_drops_nothing_that_was_trimmed(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(1, 30))
    backups.backup()
    trim.trim()
    ada.say(bob, "committed late")
    date(chat_id, [moment("2026-01-07 03:59:00")], first=31)
    shown = told(bob, chat_id)
    backups.backup()
    assert in_bucket(bob, chat_id) == shown
    assert [m["seq"] for m in shown] == list(range(1, 32))
    trim.trim()
    assert seqs() == list(range(22, 32))
    assert told(bob, chat_id) == shown


def test_killed_at_every_step(people, tmp_path):
    ada, bob = people
    chat_id = talk(ada, bob, every(7, 40))
    shown = {person.id: told(person, chat_id) for person in people}
    backups.backup()
    small = {"DB_MESSAGES_PER_CHAT": "10", "HOT_MESSAGES_PER_CHAT": "5"}
    names = ["trim.verify", "trim.verified", "trim.before", "trim.inside", "trim.after"]
    for name in names:
        killed = command("trim", ARCHIVE_DIE_AT=name, **small)
        assert killed.returncode == -9, (name, killed.stderr)
        db_seq = Chat.objects.get().db_seq
        assert seqs() == list(range(db_seq, 41)), name
        for person in people:
            assert told(person, chat_id) == shown[person.id], name
    assert command("trim", **small).returncode == 0
    assert seqs() == list(range(31, 41))
    assert told(bob, chat_id) == shown[bob.id]


def test_a_backup_and_trims_at_once_lose_nothing(people):
    ada, bob = people
    chats = {other.id: talk(ada, other, every(5, 40)) for other in (bob, Person(), Person())}
    shown = {id_: told(ada, chat_id) for id_, chat_id in chats.items()}
    at_once(4, lambda n: backups.backup() if n % 2 else trim.trim())
    backups.backup()
    trim.trim()
    for id_, chat_id in chats.items():
        assert told(ada, chat_id) == shown[id_]
    assert Message.objects.count() == 30


def test_a_repair_after_trim_comes_from_another_members_copy_client_ids_and_all(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(1, 30))
    backups.backup()
    trim.trim()
    before = bucket()
    for person in people:
        key = f"{person.id}/2026/007/03/{chat_id}"
        overwrite(key, b"damaged")
        assert not verify()["ok"]
        report = verify(repair=True)
        assert report["ok"]
        assert report["repaired"] == 1
        assert bucket() == before
        store.patient.delete([key])
        assert verify(repair=True)["repaired"] == 1
        assert bucket() == before
    assert verify()["ok"]


def test_objects_swapped_between_users_are_found_and_mended(people):
    ada, bob = people
    chat_id = talk(ada, bob, every(1, 30))
    backups.backup()
    before = bucket()
    hers, his = (f"{person.id}/2026/007/03/{chat_id}" for person in people)
    client = store.patient.client
    for key, source in ((hers, his), (his, hers)):
        client.put_object(Bucket="strata", Key=key, Body=before[source],
                          Metadata=read(source)["metadata"], ContentEncoding="gzip")  # fmt: skip
    result = command("verify", "--json")
    assert result.returncode == 1
    assert '"wrong":2' in result.stdout
    assert command("verify", "--repair").returncode == 0
    assert bucket() == before
    assert command("verify", "--sample", "50%").returncode == 0
    assert command("verify", "--sample", "nonsense").returncode == 2
