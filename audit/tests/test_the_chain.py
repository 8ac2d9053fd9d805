"""The audit log only grows, and whoever changes it behind the database's back is found out."""

import threading

import pytest
from django.core.management import call_command
from django.db import DatabaseError, close_old_connections, connection, transaction

from audit import chain
from audit.models import Action, Entry
from audit.services import Target, record

pytestmark = pytest.mark.django_db(transaction=True)
TABLE = "audit_entry"
GUARDS = ("audit_entry_stays", "audit_entry_not_emptied", "audit_entry_chain")


@pytest.fixture
def three(transactional_db):
    """Three entries, one with everything in it."""
    record(
        Action.BAN,
        target=Target("user", "1", "ada"),
        reason="spam",
        before={"a": 1},
        after={"b": None},
    )
    record(Action.UNBAN, target=Target("user", "x", 'ü "quoted", 5:x'))
    record(Action.LOGIN, after={"nested": [1, {"ä": True}], "text": "line\nbreak"})
    return list(Entry.objects.order_by("id"))


@pytest.fixture
def unguarded(transactional_db):
    """What the owner of the table can do: switch the guards off."""

    def run(sql, *parameters):
        with connection.cursor() as cursor:
            for guard in GUARDS:
                cursor.execute(f"ALTER TABLE {TABLE} DISABLE TRIGGER {guard}")
            cursor.execute(sql, parameters)
            for guard in GUARDS:
                cursor.execute(f"ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER {guard}")
            cursor.execute(f"ALTER TABLE {TABLE} DISABLE TRIGGER audit_entry_not_emptied")

    return run


def test_entries_are_numbered_without_gaps_and_chained(three):
    assert [entry.pk for entry in three] == [1, 2, 3]
    assert bytes(three[0].previous) == bytes(32)
    assert bytes(three[1].previous) == bytes(three[0].hash)
    assert bytes(three[2].previous) == bytes(three[1].hash)
    assert three[0].at < three[1].at < three[2].at
    verdict = chain.verify()
    assert (verdict.entries, verdict.broken, verdict.head) == (3, None, chain.newest())


def test_an_empty_log_is_right(transactional_db):
    assert chain.verify() == chain.Verdict(0, chain.newest())


def test_what_is_rolled_back_leaves_no_gap(three):
    with transaction.atomic():
        record(Action.BAN)
        transaction.set_rollback(True)
    assert record(Action.BAN).pk == 4
    assert chain.verify().broken is None


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_entry SET reason = 'nothing'",
        "UPDATE audit_entry SET reason = 'nothing' WHERE false",
        "DELETE FROM audit_entry",
        "DELETE FROM audit_entry WHERE id = 3",
        "TRUNCATE audit_entry",
        (
            "INSERT INTO audit_entry SELECT * FROM audit_entry WHERE id = 1"
            " ON CONFLICT (id) DO UPDATE SET reason = 'nothing'"
        ),
    ],
)
@pytest.mark.parametrize("role", ["origin", "replica"])
def test_the_database_refuses_every_change(three, sql, role):
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER audit_entry_not_emptied")
        cursor.execute(f"SET session_replication_role = {role}")
        try:
            with pytest.raises(DatabaseError, match="only grows"), transaction.atomic():
                cursor.execute(sql)
        finally:
            cursor.execute("RESET session_replication_role")
            cursor.execute(f"ALTER TABLE {TABLE} DISABLE TRIGGER audit_entry_not_emptied")
    assert Entry.objects.count() == 3
    assert chain.verify().broken is None


def test_number_time_and_hashes_are_the_database_s_whatever_is_given(three):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_entry (id, at, actor_kind, actor_name, address, action, target_kind,"
            " target_id, target_name, reason, session, request_id, previous, hash)"
            " VALUES (77, '2020-01-01', 'user', 'eve', '', 'ban', '', '', '', '', '', '', '', '')"
        )
    entry = Entry.objects.latest("pk")
    assert entry.pk == 4
    assert entry.at > three[2].at
    assert chain.verify().broken is None


@pytest.mark.parametrize(
    "column",
    [
        "reason = 'other'",
        "actor_name = 'other'",
        "actor_id = gen_random_uuid()",
        "actor_kind = 'nobody'",
        "address = '192.0.2.1'",
        "action = 'unban'",
        "target_kind = 'x'",
        "target_id = 'y'",
        "target_name = 'z'",
        "before = '{}'",
        "after = NULL",
        "at = at + interval '1 microsecond'",
        "session = 's'",
        "request_id = 'r'",
        "hash = sha256('x')",
    ],
)
def test_a_change_of_any_column_is_found(three, unguarded, column):
    unguarded(f"UPDATE audit_entry SET {column} WHERE id = 1")
    assert chain.verify().broken == 1


def test_an_entry_taken_out_of_the_middle_is_found(three, unguarded):
    unguarded("DELETE FROM audit_entry WHERE id = 2")
    verdict = chain.verify()
    assert (verdict.entries, verdict.broken) == (1, 2)
    assert "missing" in verdict.fault


def test_a_text_moved_from_one_field_to_the_next_is_found(three, unguarded):
    unguarded("UPDATE audit_entry SET target_name = '', reason = target_name WHERE id = 2")
    assert chain.verify().broken == 2


def test_an_entry_written_again_with_a_right_hash_of_its_own_is_found_at_the_next(three, unguarded):
    unguarded(
        "UPDATE audit_entry e SET reason = 'other', hash = sha256(convert_to("
        "audit_entry_fields(ROW(e.id, e.at, e.actor_kind, e.actor_id, e.actor_name, e.address,"
        " e.action, e.target_kind, e.target_id, e.target_name, 'other', e.before, e.after,"
        " e.session, e.request_id, e.previous, e.hash)::audit_entry), 'UTF8')) WHERE id = 2"
    )
    verdict = chain.verify()
    assert verdict.broken == 3
    assert "does not follow" in verdict.fault


def test_the_last_entries_gone_are_noticed_by_a_head_seen_before(three, unguarded):
    seen = chain.newest()
    unguarded("DELETE FROM audit_entry WHERE id > 1")
    assert chain.verify().broken is None
    verdict = chain.verify([seen])
    assert (verdict.broken, verdict.entries) == (2, 1)
    record(Action.BAN)
    record(Action.BAN)
    record(Action.BAN)
    verdict = chain.verify([seen])
    assert verdict.broken == 3
    assert "another" in verdict.fault


@pytest.mark.usefixtures("empty_bucket")
def test_the_command_says_so_with_its_exit_status(three, unguarded, capsys):
    call_command("audit", "--verify")
    assert "All 3 entries are right" in capsys.readouterr().out
    call_command("audit", "--head")
    head = capsys.readouterr().out.strip()
    call_command("audit", "--verify", "--expect", head)
    capsys.readouterr()
    unguarded("UPDATE audit_entry SET reason = 'x' WHERE id = 2")
    with pytest.raises(SystemExit) as ended:
        call_command("audit", "--verify")
    assert ended.value.code == 1
    assert "BROKEN: entry 2 is not what was written" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        call_command("audit")
    assert ended.value.code == 2


def test_many_writers_at_once_make_one_chain(transactional_db):
    def write():
        for _ in range(10):
            record(Action.BAN)
        close_old_connections()
        connection.close()

    writers = [threading.Thread(target=write) for _ in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert chain.verify().entries == 60
    assert chain.verify().broken is None


def test_an_entry_costs_one_statement(three, django_assert_num_queries):
    with transaction.atomic(), django_assert_num_queries(1):
        record(Action.BAN)
