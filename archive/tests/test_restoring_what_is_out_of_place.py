"""Objects that lie where they do not belong, or of which a line is wrong: the rest comes back.

None of them is signed for where it lies, so a restore is told to take what is not.
"""

import gzip
import hashlib

import pytest

from archive import backup as backups
from archive import restore
from archive.models import Segment
from archive.store import patient
from archive.tests.conftest import keys
from archive.tests.test_restoring import back, state, wipe
from archive.tests.world import add, command, date, every, read, talk, told
from archive.verify import verify
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def chats():
    """Two chats of three hours each; Ada's and Bob's is spoilt, Ada's and Eve's is not."""
    ada, bob, eve = Person("ada"), Person("bob"), Person("eve")
    spoilt, other = talk(ada, bob, every(20, 9)), talk(ada, eve, every(20, 9))
    backups.backup()
    return ada, bob, spoilt, other


def of(person, chat_id, hour):
    (key,) = [key for key in keys(f"{person.id}/2026/007/{hour}/") if key.endswith(f"/{chat_id}")]
    return key


def put(key, like, plain=None):
    """Put an object's contents elsewhere, or others that are what its metadata say."""
    held = read(like)
    metadata, raw = held["metadata"], held["raw"]
    if plain is not None:
        metadata = {**metadata, "sha256": hashlib.sha256(plain).hexdigest()}
        raw = gzip.compress(plain)
    patient.put_plain(key, raw, metadata)


def test_one_in_another_hours_or_chats_place_is_passed_over(chats):
    ada, bob, spoilt, other = chats
    before = state()
    put(of(bob, spoilt, "04"), of(bob, spoilt, "03"))
    put(of(ada, spoilt, "05"), of(ada, other, "05"))
    wipe()
    report = restore.restore(unsigned=True)
    assert (report["damaged"], report["failed"]) == (2, 2), report
    assert "another hour's" in " ".join(report["failures"])
    lacking = {"messages": 0, "index": 0}
    after = state()
    assert {name: after[name] for name in after if name not in lacking} == {
        name: before[name] for name in before if name not in lacking
    }
    assert [each[:6] for each in after["messages"]] == [each[:6] for each in before["messages"]]
    assert verify(repair=True)["ok"]
    assert verify()["wrong"] == 0


def test_what_everybody_has_twice_is_said_and_the_other_chat_comes_back(chats):
    ada, bob, spoilt, other = chats
    for person in (ada, bob):
        held = read(of(person, spoilt, "03"))["plain"]
        again = held.replace(b"2026-01-07T03:", b"2026-01-07T04:")
        put(of(person, spoilt, "04"), of(person, spoilt, "03"), again)
    wipe()
    done = command("restore", "--all", "--json", "--unsigned")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "two hours have a message 1" in done.stdout
    assert set(Segment.objects.values_list("chat", flat=True)) == {other}


def test_nobody_gets_another_members_copy(chats):
    ada, bob, *_ = chats
    eve = Person("late")
    group_id = ada.group(bob)
    for person in (ada, bob):
        person.post(
            "/send_message_to_group", group_id=str(group_id), text="before", client_id="an id"
        )
    add(ada, group_id, eve)
    ada.tell(group_id, "after")
    date(group_id, every(1, 5))
    backups.backup()
    held = {person.id: read(of(person, group_id, "03")) for person in (ada, bob, eve)}
    for person, other in ((eve, ada), (ada, bob), (bob, eve)):
        patient.put_plain(
            of(person, group_id, "03"), held[other.id]["raw"], held[other.id]["metadata"]
        )
    shown = told(ada, group_id)
    wipe()
    report = restore.restore(unsigned=True)
    assert (report["ok"], report["damaged"]) == (False, 3), report
    for person in (ada, bob, eve):
        back(person)
        assert person.client.get(f"/archive/2026/007/03/{group_id}/").status_code == 404
    assert told(ada, group_id) == shown
    assert [message["seq"] for message in told(eve, group_id)] == [4, 5]
    assert verify(repair=True)["repaired"] == 3
    assert {person.id: read(of(person, group_id, "03")) for person in (ada, bob, eve)} == held


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        (b'"text":"text', b'"text":"\\u0000text'),
        (b'"seq":2,', b'"seq":99999999999999999999,'),
        (b"2026-01-07T03:20:", b"2026-13-47T03:20:"),
    ],
)
def test_what_the_database_does_not_take_is_said_and_the_other_chat_comes_back(
    chats, what, instead
):
    ada, bob, spoilt, other = chats
    for person in (ada, bob):
        key = of(person, spoilt, "03")
        plain = read(key)["plain"]
        assert what in plain
        put(key, key, plain.replace(what, instead))
    wipe()
    done = command("restore", "--all", "--json", "--unsigned")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert f"chat {spoilt}" in done.stdout
    assert set(Segment.objects.values_list("chat", flat=True)) == {other}
