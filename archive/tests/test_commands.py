"""The commands: how they end, what they say, and that Ctrl-C at any point leaves nothing half-done."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from typing import Any

import pytest
from django.db import connection

from archive import backup as backups
from archive import store, trim
from archive.locks import chat_lock
from archive.models import DrillRun, HourObject, RetentionRun, Segment, Watermark
from archive.tests.conftest import keys
from archive.tests.test_drilling import scratch_databases
from archive.tests.test_killed_backups import recorded_is_there
from archive.tests.test_restoring import state, wipe
from archive.tests.world import ROOT, bucket, command, every, overwrite, talk, told
from archive.verify import verify
from messaging.models import Chat, LogState, Message
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
COMMANDS = ("backup", "trim", "purge", "verify", "restore", "drill", "erase")
SMALL = {"DB_MESSAGES_PER_CHAT": "10", "HOT_MESSAGES_PER_CHAT": "5"}


@pytest.fixture(autouse=True)
def _small(settings):
    settings.HOT_MESSAGES_PER_CHAT = 5
    settings.DB_MESSAGES_PER_CHAT = 10


@pytest.fixture
def chat():
    ada, bob = Person("ada"), Person("bob")
    return ada, bob, talk(ada, bob, every(7, 40))


def interrupted(*arguments: str, at: str, **environment: str) -> None:
    result = command(*arguments, ARCHIVE_INTERRUPT_AT=at, **SMALL, **environment)
    assert result.returncode == 130, (arguments, at, result.stdout, result.stderr)
    assert f"{arguments[0]}: interrupted" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_backup_interrupted_anywhere_records_nothing_wrong_and_goes_on(chat):
    _, bob, chat_id = chat
    for at in ("chat.locked", "put.after", "record.inside", "record.after", "snapshot.manifest"):
        interrupted("backup", at=at)
        recorded_is_there()
        Segment.objects.all().delete()
        Watermark.objects.all().delete()
        store.patient.delete(keys())
    report = backups.backup()
    assert report["ok"]
    recorded_is_there()
    assert verify()["ok"]
    assert told(bob, chat_id)


@pytest.mark.parametrize("at", ["trim.verify", "trim.inside", "trim.after"])
def test_a_trim_interrupted_anywhere_loses_nothing(chat, at):
    ada, bob, chat_id = chat
    before = told(bob, chat_id)
    backups.backup()
    interrupted("trim", at=at)
    assert told(bob, chat_id) == before
    assert trim.trim()["ok"]
    assert Message.objects.count() == 10
    assert told(bob, chat_id) == before
    assert told(ada, chat_id)


def test_a_second_ctrl_c_ends_it_at_once_and_leaves_what_a_kill_leaves(chat):
    _, bob, chat_id = chat
    process = subprocess.Popen(
        [sys.executable, "manage.py", "backup"], cwd=ROOT, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "DATABASE_URL": database_url(), **SMALL},
    )  # fmt: skip
    number = Chat.objects.get().number
    with chat_lock(number):
        assert process.stderr
        lines = iter(process.stderr.readline, "")
        while not waits_for_the_lock():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert any("Ctrl-C again" in line for line in lines)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    recorded_is_there()
    assert backups.backup()["ok"]
    assert verify()["ok"]
    assert told(bob, chat_id)


def waits_for_the_lock() -> bool:
    """Whether the backup has come to the chats: its run's row is there and it has asked once."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_try_advisory_lock%'"
            " AND pid <> pg_backend_pid()"
        )
        return bool(cursor.fetchone()[0])


def database_url() -> str:
    database = connection.settings_dict
    return (
        f"postgres://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:"
        f"{database['PORT']}/{database['NAME']}"
    )


@pytest.mark.parametrize("at", ["purge.inside", "purge.hidden", "purge.deleted", "purge.rows"])
def test_a_purge_interrupted_anywhere_is_finished_by_the_next(chat, at):
    backups.backup()
    trim.trim()
    interrupted("purge", at=at)
    assert RetentionRun.objects.get().finished_at is None
    assert command("purge", **SMALL).returncode == 0
    assert HourObject.objects.count() == 0
    assert [key for key in keys() if not key.startswith("_system/")] == []
    run = RetentionRun.objects.first()
    assert run
    assert run.finished_at


def test_a_verify_interrupted_in_a_repair_is_finished_by_the_next(chat):
    backups.backup()
    before = bucket()
    overwrite(min(before), b"damaged")
    interrupted("verify", "--repair", at="repair.before")
    assert verify(repair=True)["ok"]
    assert bucket() == before


def test_a_restore_interrupted_anywhere_is_finished_by_the_next(chat):
    backups.backup()
    before = state()
    epoch = LogState.objects.get().epoch
    for at in ("restore.users", "restore.chat", "restore.inside", "restore.honoured"):
        wipe()
        interrupted("restore", "--all", at=at)
        assert LogState.objects.get().epoch == epoch, at
        assert command("restore", "--all", **SMALL).returncode == 0
        epoch = LogState.objects.get().epoch
        assert state() == before, at


def test_a_drill_interrupted_drops_its_scratch_database(chat):
    backups.backup()
    for at in ("drill.created", "drill.restored"):
        interrupted("drill", at=at)
        assert scratch_databases() == 0, at
    assert not DrillRun.objects.exclude(finished_at=None).exists()


def test_an_erase_interrupted_is_finished_by_the_next_backup(chat):
    ada, bob, chat_id = chat
    backups.backup()
    for at in ("erase.wished", "erase.asked.inside", "erase.announced", "erase.rewritten"):
        interrupted("erase", "--chat", str(chat_id), "--seq", "4", at=at)
    assert backups.backup()["ok"]
    assert told(bob, chat_id)[3]["kind"] == "removed"
    assert told(ada, chat_id)[3]["text"] == ""
    assert verify()["ok"]


def on_a_terminal(*arguments: str) -> str:
    """Run a command whose stderr is a terminal; return what the terminal got."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=follower,
        env={**os.environ, "DATABASE_URL": database_url(), "TERM": "xterm", "COLUMNS": "100", **SMALL},
    )  # fmt: skip
    os.close(follower)
    shown = b""
    while True:
        try:
            some = os.read(leader, 4096)
        except OSError:
            break
        if not some:
            break
        shown += some
    os.close(leader)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, shown
    assert b"done" in out or out.startswith(b"{")
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())


@pytest.mark.parametrize("name", ["backup", "verify", "trim", "restore", "drill", "purge"])
def test_a_terminal_shows_a_bar_with_rate_and_remaining_time(chat, name):
    if name != "backup":
        backups.backup()
    if name == "purge":
        trim.trim()
    shown = on_a_terminal(name, *(["--all"] if name == "restore" else []))
    assert name in shown
    assert re.search(r"\d+/\d+", shown), shown
    assert re.search(r"[\d,]+/s", shown), shown
    assert re.search(r"\d:\d\d:\d\d", shown), shown
    assert "Traceback" not in shown


def test_with_json_a_terminal_shows_no_bar(chat):
    assert "/s" not in on_a_terminal("backup", "--json")


def test_json_is_one_line_and_the_log_gets_one_line_of_what_was_done(chat):
    ada, _, chat_id = chat
    runs: list[tuple[str, ...]] = [
        ("backup",), ("verify",), ("trim",), ("drill",), ("erase", "--chat", str(chat_id), "--seq", "4"),
        ("restore", "--all"), ("purge",), ("erase", "--user", str(ada.id)),
    ]  # fmt: skip
    for arguments in runs:
        result = command(*arguments, "--json", **SMALL)
        assert result.returncode == 0, (arguments, result.stdout, result.stderr)
        assert result.stdout.count("\n") == 1
        report: dict[str, Any] = json.loads(result.stdout)
        assert (report["command"], report["ok"]) == (arguments[0], True)
        done = [
            line for line in result.stderr.splitlines() if f"archive: {arguments[0]}: done" in line
        ]
        assert len(done) == 1, result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_help_explains(name):
    result = command(name, "--help")
    assert result.returncode == 0
    assert len(result.stdout.partition("options:")[0].split()) > 30, "what it does, in sentences"
    assert "--json" in result.stdout
    assert ("--dry-run" in result.stdout) == (name not in ("verify", "drill"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("backup", "--hour", "nonsense"), ("trim", "--unknown"), ("purge", "--sweep=3"),
        ("verify", "--sample", "200%"), ("restore",), ("restore", "--all", "--chat", "x"),
        ("drill", "extra"), ("erase",), ("erase", "--seq", "x"),
    ],
)  # fmt: skip
def test_wrong_use_ends_with_2(arguments):
    result = command(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["backup", "verify", "trim", "purge", "restore", "drill"])
def test_what_fails_ends_with_1_and_says_why(chat, name):
    if name != "backup":
        backups.backup()
    arguments = [name, *(["--all"] if name == "restore" else [])]
    result = command(*arguments, "--json", S3_ENDPOINT_URL="http://127.0.0.1:9", **SMALL)
    assert result.returncode == 1, (result.stdout, result.stderr)
    report = json.loads(result.stdout)
    assert report["ok"] is False
    assert report["failures"]
    assert "Traceback" not in result.stderr
