"""Copies of an hour become the messages that were sent, however many, large or different they are."""

import tracemalloc

import pytest

from archive import backup as backups
from archive import copies, restore
from archive.hours import Packer, key_of, message_from
from archive.merging import Contradiction, read_hours
from archive.store import patient
from archive.tests.world import date, every, moment, talk, told
from archive.threads import Crew
from common.ids import new_id
from messaging.models import Message
from messaging.wire import make_line, to_micros
from tests.core.people import Person

START = to_micros(moment("2026-01-07 03:00:00"))
HOUR = START // 3_600_000_000


@pytest.fixture
def crew():
    with Crew(4, "objects") as crew:
        yield crew


class Group:
    """A chat in the bucket alone: who could see which seqs, each with the client_ids they gave."""

    def __init__(self, readers: int, messages: int, *, length: int = 20) -> None:
        self.chat_id, self.users = new_id(), sorted(new_id() for _ in range(readers))
        self.lines = [
            make_line(
                chat_id=str(self.chat_id), seq=seq, kind="text", at=START + seq,
                sender_id=str(self.users[seq % readers]), text=f"{seq} ".ljust(length, "é"),
                client_id=f"id|{seq}" if seq % 3 else None,
            )
            for seq in range(1, messages + 1)
        ]  # fmt: skip

    def put(self, user, first=1, last=None, change=lambda _, raw: raw):
        packer = Packer()
        packer.add(
            (line.seq, change(line.seq, line.seen_by(str(user).encode())))
            for line in self.lines[first - 1 : last]
        )
        packed = packer.finish()
        patient.put(key_of(user, HOUR, self.chat_id), packed, replaces=None)

    def merged(self, crew, users=None):
        (hour,) = read_hours(patient, self.chat_id, [(HOUR, users or self.users)], crew)
        return hour

    def wanted(self):
        return [(line.seq, line.seen_by(line.owner)) for line in self.lines]


def lines_of(group, crew):
    found = []
    for hour in read_hours(patient, group.chat_id, [(HOUR, group.users)], crew):
        assert not hour.bad
        found += list(hour.lines())
    return found


@pytest.mark.parametrize(("readers", "messages"), [(1, 1), (2, 50), (30, 90), (3, 3000)])
def test_each_message_comes_once_with_its_senders_client_id(crew, readers, messages):
    group = Group(readers, messages, length=20 if messages < 1000 else 400)
    for user in group.users:
        group.put(user)
    assert lines_of(group, crew) == group.wanted()


def test_what_only_some_could_see_is_put_together(crew):
    group = Group(3, 60)
    group.put(group.users[0], 1, 20)
    group.put(group.users[1], 15, 40)
    group.put(group.users[2], 41, 60)
    merged = lines_of(group, crew)
    assert [seq for seq, _ in merged] == list(range(1, 61))
    assert all(message_from(raw, group.chat_id)["seq"] == seq for seq, raw in merged)


def test_a_large_hour_is_never_in_memory_whole(crew, monkeypatch):
    monkeypatch.setattr(copies, "SMALL_BYTES", 1000)
    monkeypatch.setattr(copies, "SPOOL_BYTES", 1000)
    group = Group(20, 400)
    for user in group.users:
        group.put(user)
    found = []
    for hour in read_hours(patient, group.chat_id, [(HOUR, group.users)], crew):
        assert all(copy.plain == b"" for copy in hour.copies)
        found += list(hour.lines())
    assert found == group.wanted()


def test_however_many_readers_gave_client_ids_little_of_it_is_in_memory(crew):
    group = Group(120, 300, length=500)
    for user in group.users:
        group.put(user)
    tracemalloc.start()
    try:
        found = lines_of(group, crew)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == group.wanted()
    size = sum(len(raw) for _, raw in found)
    # Eight being read, eight to be merged, their lines, and some.
    assert most < 45 * size


def test_an_erased_message_stays_erased_while_a_copy_still_has_it(crew):
    group = Group(2, 5)
    gone = make_line(
        chat_id=str(group.chat_id), seq=3, kind="removed", at=START + 3, text="", client_id=None,
        sender_id=str(group.users[1]),
    )  # fmt: skip
    for user, change in zip(
        group.users,
        (lambda _, raw: raw, lambda seq, raw: gone.body if seq == 3 else raw),
        strict=True,
    ):
        group.put(user, change=change)
    assert dict(lines_of(group, crew))[3] == gone.body


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b"3 ", b"4 ", 1),
        lambda raw: raw.replace(b"000003Z", b"000004Z", 1),
        lambda raw: raw.replace(b'"client_id":null', b'"client_id":"another"', 1),
    ],
)
def test_copies_that_contradict_each_other_are_said_and_not_guessed(crew, change):
    group = Group(2, 5)
    group.lines[2] = group.lines[2]._replace(
        owner=str(group.users[0]).encode(), client_id=b'"mine"'
    )
    group.put(group.users[0])
    group.put(group.users[1], change=lambda seq, raw: change(raw) if seq == 3 else raw)
    with pytest.raises(Contradiction, match="different messages 3"):
        lines_of(group, crew)


@pytest.mark.django_db(transaction=True)
def test_a_group_of_many_who_all_gave_client_ids_comes_back():
    people = [Person() for _ in range(12)]
    group_id = people[0].group(*people[1:])
    for turn in range(2):
        for person in people:
            person.post(
                "/send_message_to_group", group_id=str(group_id), text="a\\b\tc\r\nd \\N",
                client_id=f"tab\t{turn}\\",
            )  # fmt: skip
    date(group_id, every(1, 25))
    pair = talk(people[0], people[1], every(7, 30))
    before = list(Message.objects.order_by("chat", "seq").values("seq", "text", "client_id"))
    shown = {person.id: told(person, group_id) for person in people}
    backups.backup()
    Message.objects.all().delete()
    report = restore.restore()
    assert report["ok"], report
    assert report["messages"] == 55
    assert (
        list(Message.objects.order_by("chat", "seq").values("seq", "text", "client_id")) == before
    )
    assert {person.id: told(person, group_id) for person in people} == shown
    assert len(told(people[1], pair)) == 30
