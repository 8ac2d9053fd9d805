"""However much is damaged, all of it is named, and what is not damaged is brought back."""

import gzip
import random
from itertools import cycle

import pytest

from archive import backup as backups
from archive import drill, erase, restore
from archive.hours import Damaged
from archive.models import HourObject, Segment
from archive.runs import FAILURES_IN_A_ROW, Tally, side_by_side
from archive.store import ArchiveUnavailable
from archive.tests.conftest import keys
from archive.tests.test_restoring import wipe
from archive.tests.world import chat_of, date, every, overwrite, talk
from archive.verify import verify
from messaging.models import Message
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


def tried(error: Exception) -> int:
    """Return how many of fifty items a run tries when each fails with an error."""
    tally, asked = Tally(), []

    def act(item):
        asked.append(item)
        raise error

    side_by_side(range(50), act, tally, threads=1)
    assert tally.failed == len(asked)
    return len(asked)


def test_a_run_gives_up_when_something_is_away_and_never_for_damage():
    assert tried(Damaged("so")) == 50
    assert tried(ArchiveUnavailable()) <= FAILURES_IN_A_ROW + 2


@pytest.fixture
def damaged(caplog):
    """Chats of which each has many spoilt copies, one right one, and neighbours that are fine."""
    ada, *others = [Person(f"p{n}") for n in range(8)]
    for _ in range(3):
        response = ada.post("/create_group", name="many", member_ids=[str(p.id) for p in others])
        group = response.json()["group_id"]
        ada.post("/send_message_to_group", group_id=group, text="x")
        date(group, every(1, 2))
    quiet = [talk(ada, other, every(7, 3)) for other in others]
    backups.backup()
    spoilt = [
        key
        for key in keys()
        if not key.startswith((f"{ada.id}/", "_system/"))
        and not key.endswith(tuple(map(str, quiet)))
    ]
    assert len(spoilt) == 21
    for key in spoilt:
        overwrite(key, gzip.compress(b"rubbish\n"))
    return spoilt


def test_verify_names_each(damaged, caplog):
    report = verify()
    assert (report["ok"], report["wrong"], report.get("given_up")) == (False, 21, None)
    for key in damaged:
        assert key in caplog.text
    assert verify(repair=True)["repaired"] == 21
    assert verify()["ok"]


def test_a_sample_reads_its_share_and_names_what_is_wrong_in_it(damaged, monkeypatch):
    chance = cycle([0.1, 0.9])
    monkeypatch.setattr(random, "random", lambda: next(chance))
    verified = list(Segment.objects.order_by("pk").values_list("verified_at", flat=True))
    report = verify(sample=0.5)
    assert report["objects"] == HourObject.objects.count() // 2
    assert 0 < report["wrong"] < 21
    assert report["ok"] is False
    # What was not read whole does not count as verified.
    assert list(Segment.objects.order_by("pk").values_list("verified_at", flat=True)) == verified


def test_restore_brings_back_all_there_is(damaged):
    before = set(Message.objects.values_list("chat", "seq", "text"))
    wipe()
    report = restore.restore()
    assert (report["damaged"], report.get("given_up")) == (21, None)
    assert set(Message.objects.values_list("chat", "seq", "text")) == before


def test_a_drill_takes_an_erased_users_client_ids_for_gone():
    ada, bob = Person("ada"), Person("bob")
    chat = chat_of(ada.say(bob, "kept", "an id"))
    date(chat, every(1, 1))
    backups.backup()
    erase.erase_user(user_id=ada.id)
    backups.backup()
    report = drill.drill()
    assert (report["ok"], report["differing"], report["lost"]) == (True, 0, 0), report
