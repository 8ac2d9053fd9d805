"""A dump brought back under a service that goes on: nobody is left with the lost history.

The database is dumped and restored by PostgreSQL's own tools, while cache and cursors stay as they
are.
"""

import logging

import pytest
from django.core.management import call_command
from django.db import connection

from accounts.models import User
from archive import anchors, bucket_mark, store
from audit import services as audit
from audit.models import Action, Entry
from common.cache import cache
from messaging import database_mark
from messaging.database_mark import KEY, Mark
from messaging.models import DatabaseMark, DatabaseReset, LogState, Message
from messaging.sweeper import Sweeper
from messaging.sweeper_state import read_state
from tests.core.dumps import bring_back, dump
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE = ["before 1", "before 2", "before 3"]
LOST = [f"lost {number}" for number in range(1, 6)]
AFTER = ["after 1", "after 2"]


def seqs(answer) -> list[tuple[int, str]]:
    return [(m["seq"], m["text"]) for chat in answer["chats"] for m in chat["messages"]]


class World:
    """Two people, a dump, and five messages sent and received after it."""

    def __init__(self, file, sweeper) -> None:
        self.file, self.sweeper = file, sweeper
        self.ada, self.bob = Person("ada"), Person("bob")
        for text in BEFORE:
            self.ada.say(self.bob, text)
        for person in (self.ada, self.bob):
            person.drain()
            person.poll()
        sweeper.sweep()
        dump(file)
        self.lose()

    def lose(self) -> None:
        for number, text in enumerate(LOST):
            self.ada.say(self.bob, text, client_id=f"lost {number}")
        assert self.bob.drain()[-5:] == LOST
        self.ada.drain()
        assert self.bob.poll()["served_from"] == "cache"
        self.chat_id = self.bob.received[0][0]

    def go_back(self) -> None:
        bring_back(self.file)

    def page(self) -> list[tuple[int, str]]:
        found = self.bob.client.get(f"/chats/{self.chat_id}/messages/").json()["results"]
        return [(message["seq"], message["text"]) for message in found]


@pytest.fixture
def world(tmp_path, sweeper):
    return World(tmp_path / "dump", sweeper)


TRUE = list(enumerate([*BEFORE, *AFTER], 1))


def test_clients_get_a_reset_and_the_true_history_then_each_message_once(world):
    world.go_back()
    for text in AFTER:
        world.ada.say(world.bob, text)
    assert world.sweeper.sweep().went_back
    answer = world.bob.poll()
    assert answer["reset"] is True
    assert seqs(answer) == TRUE
    assert world.page() == TRUE
    assert world.bob.poll()["chats"] == []
    world.ada.say(world.bob, "goes on")
    assert world.bob.drain() == ["goes on"]
    answer = world.bob.poll()
    assert (answer["reset"], answer["served_from"]) == (False, "cache")


def test_what_was_sent_before_the_sweeper_saw_it_is_not_lost_either(world):
    """The cache took the new messages for old ones: it had later seqs already."""
    world.go_back()
    world.ada.say(world.bob, AFTER[0])
    world.bob.poll()
    world.ada.say(world.bob, AFTER[1])
    world.sweeper.sweep()
    assert seqs(world.bob.poll()) == TRUE


def test_it_is_said_in_the_log_the_audit_log_and_the_admin(world, caplog):
    epoch = LogState.objects.get().epoch
    world.go_back()
    with caplog.at_level(logging.CRITICAL, "messaging.going_back"):
        world.sweeper.sweep()
    (said,) = [r.getMessage() for r in caplog.records if r.levelno == logging.CRITICAL]
    assert "gone back in time" in said
    entry = Entry.objects.get(action=Action.DATABASE_WENT_BACK)
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["epoch"], entry.after["epoch"]) == (epoch, epoch + 1)
    reset = DatabaseReset.objects.get()
    assert reset.epoch == LogState.objects.get().epoch == epoch + 1
    assert reset.known_until is not None
    assert not world.sweeper.sweep().went_back, "once"
    assert DatabaseReset.objects.count() == 1


def test_two_sweepers_that_see_it_at_once_start_over_once(world):
    other = Sweeper()
    other.sweep()
    world.go_back()
    world.sweeper.sweep()
    assert not other.sweep().went_back
    assert not Sweeper().sweep().went_back
    assert DatabaseReset.objects.count() == 1


def test_a_client_id_of_a_lost_message_is_free_again(world):
    world.go_back()
    world.sweeper.sweep()
    sent = world.ada.say(world.bob, "said anew", client_id="lost 0")
    assert sent.created
    assert sent.line.seq == len(BEFORE) + 1
    world.bob.drain()
    assert world.ada.say(world.bob, "said anew", client_id="lost 0").created is False
    assert world.bob.drain() == []


def test_twice_in_a_row_each_stretch_that_was_lost_has_an_epoch_of_its_own(world):
    epochs = {LogState.objects.get().epoch}
    for _ in range(3):
        world.go_back()
        world.sweeper.sweep()
        epochs.add(LogState.objects.get().epoch)
        answer = world.bob.poll()
        assert answer["reset"] is True
        assert [text for _, text in seqs(answer)] == BEFORE
        world.lose()
    assert len(epochs) == 4


def test_the_bucket_knows_when_the_cache_is_lost_at_the_same_moment(world):
    DatabaseMark.objects.update(number=40)
    database_mark.keep(read_state().mark)
    world.go_back()
    cache.execute("FLUSHDB")
    done = Sweeper().sweep()
    assert done.went_back
    assert DatabaseReset.objects.get().cause == DatabaseReset.Cause.MARK
    answer = world.bob.poll()
    assert answer["reset"] is True
    assert [text for _, text in seqs(answer)] == BEFORE


def test_with_the_cache_lost_and_the_mark_not_behind_another_database_is_not_believed(world):
    """The dump is younger than the bucket's mark: nothing shows that nothing was lost."""
    database_mark.keep(read_state().mark)
    world.go_back()
    cache.execute("FLUSHDB")
    assert Sweeper().sweep().went_back
    assert DatabaseReset.objects.get().cause == DatabaseReset.Cause.UNPROVEN
    assert world.bob.poll()["reset"] is True


def test_a_cache_lost_alone_resets_nobody(world):
    cache.execute("FLUSHDB")
    assert not Sweeper().sweep().went_back
    answer = world.bob.poll()
    assert answer["reset"] is False


def test_while_there_is_nothing_to_compare_with_nothing_is_vouched_for(world, servers):
    cache.execute("FLUSHDB")
    store.brisk._left_alone_until = 0.0
    servers.s3.pause()
    try:
        with pytest.raises(store.ArchiveUnavailable):
            Sweeper().sweep()
        assert not cache.execute("EXISTS", "fresh")
        assert world.bob.poll()["reset"] is False, "the database answers"
    finally:
        servers.s3.resume()
    assert Sweeper().sweep().vouched


def test_a_cache_that_knows_the_mark_does_without_the_bucket(world, servers):
    servers.s3.pause()
    try:
        assert world.sweeper.sweep().vouched
        assert Sweeper().sweep().vouched
    finally:
        servers.s3.resume()


def test_tables_that_are_only_written_anew_reset_nobody(world):
    """As a clean switch-over: another identity, and nothing that the cache was told is missing."""
    before = read_state().identity
    with connection.cursor() as cursor:
        cursor.execute("VACUUM FULL messaging_message, messaging_chat")
    assert read_state().identity != before
    done = world.sweeper.sweep()
    assert done.vouched
    assert not done.went_back
    assert world.bob.poll()["served_from"] == "cache"
    kept = bucket_mark.read()
    assert kept is not None
    assert kept.identity == read_state().identity


def lose_the_last_message() -> None:
    """Lose what a fail-over may: one commit, too young for the mark to show it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH gone AS (DELETE FROM messaging_message m USING messaging_chat c"
            "               WHERE m.chat_id = c.id AND m.seq = c.last_seq RETURNING m.chat_id)"
            " UPDATE messaging_chat c SET last_seq = last_seq - 1, last_at = (SELECT sent_at"
            "   FROM messaging_message m WHERE m.chat_id = c.id AND m.seq = c.last_seq - 1)"
            "  FROM gone WHERE c.id = gone.chat_id"
        )
        cursor.execute("VACUUM FULL messaging_message, messaging_chat")


def test_one_lost_commit_shows_by_what_the_cache_was_told(world):
    lose_the_last_message()
    assert world.sweeper.sweep().went_back
    assert DatabaseReset.objects.get().cause == DatabaseReset.Cause.COMMITS
    answer = world.bob.poll()
    assert answer["reset"] is True
    assert [text for _, text in seqs(answer)] == [*BEFORE, *LOST[:-1]]


def test_one_lost_commit_whose_number_another_has_taken_shows_by_the_line_in_the_cache(world):
    lose_the_last_message()
    world.ada.say(world.bob, "in its place")
    assert world.sweeper.sweep().went_back
    assert [text for _, text in seqs(world.bob.poll())][-1] == "in its place"


def test_a_cache_of_a_chat_that_the_database_does_not_have_shows_it_too(world):
    eve = Person("eve")
    eve.say(world.bob, "a chat of its own")
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM messaging_membership WHERE user_id = %(eve)s OR chat_id IN"
            " (SELECT id FROM messaging_chat WHERE %(eve)s IN (low_id, high_id))",
            {"eve": eve.id},
        )
        cursor.execute("DELETE FROM messaging_chat WHERE %s IN (low_id, high_id)", [eve.id])
        cursor.execute("VACUUM FULL messaging_message, messaging_chat")
    assert world.sweeper.sweep().went_back


def test_an_epoch_that_is_behind_shows_it_by_itself(world):
    epoch = LogState.objects.get().epoch
    LogState.objects.update(epoch=epoch + 3)
    world.sweeper.sweep()
    LogState.objects.update(epoch=epoch)
    assert world.sweeper.sweep().went_back
    assert LogState.objects.get().epoch == epoch + 4


def test_a_sweeper_that_compared_another_database_does_not_vouch(world, monkeypatch):
    """It read the old one; before it speaks the older one has come back and was seen by another."""
    slow = Sweeper()

    def meanwhile(since):
        monkeypatch.undo()
        world.go_back()
        assert Sweeper().sweep().went_back
        return []

    generation = cache.execute("HGET", "fresh", "gen")
    monkeypatch.setattr("messaging.sweeper.accounts.tokens_revoked_since", meanwhile)
    assert not slow.sweep().vouched
    assert cache.execute("HGET", "fresh", "gen") not in (generation, None)
    assert world.bob.poll()["reset"] is True


def test_a_mark_in_the_bucket_that_can_not_be_read_is_no_reason_to_believe(world):
    store.patient.client.put_object(Bucket="strata", Key=KEY, Body=b"spoiled")
    cache.execute("FLUSHDB")
    assert Sweeper().sweep().went_back
    assert bucket_mark.read() is not None


def test_limits_and_heartbeats_stay(world):
    cache.execute("SET", "l:sends:somebody", "1", "PX", 60_000)
    world.go_back()
    world.sweeper.sweep()
    assert cache.execute("EXISTS", "l:sends:somebody")


def test_an_empty_database_beside_a_cache_that_knows_a_mark_is_an_older_one(world):
    Message.objects.all().delete()
    DatabaseMark.objects.all().delete()
    assert world.sweeper.sweep().went_back
    assert User.objects.exists()


def test_a_mark_only_grows_wherever_it_is_kept():
    database_mark.keep(Mark(5, "one", 2))
    database_mark.keep(Mark(4, "one", 2))
    assert bucket_mark.read() == Mark(5, "one", 2)
    database_mark.keep(Mark(5, "another", 3))
    assert bucket_mark.read() == Mark(5, "another", 3)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"number":"1","database":"","epoch":1}'])
def test_what_is_no_mark_is_none(body):
    with pytest.raises(database_mark.NoMark):
        database_mark.from_body(body)
    mark = Mark(7, "some.where", 3)
    assert database_mark.from_body(mark.body()) == mark


@pytest.mark.usefixtures("empty_bucket")
def test_the_audit_log_s_lost_end_reads_as_gone_back_and_not_as_cut_off(world, capsys):
    for number in range(3):
        audit.record(Action.LOGIN, reason=f"lost {number}")
    assert anchors.note(store.patient)
    world.go_back()
    world.sweeper.sweep()
    call_command("audit", "--verify")
    said = capsys.readouterr()
    assert "went back in time" in said.err
    assert said.out.startswith("All ")
