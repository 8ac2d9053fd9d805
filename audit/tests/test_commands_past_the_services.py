"""`shell`, `dbshell`, `loaddata`, `dumpdata` and `flush` go past every service: each is recorded."""

import io

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command, get_commands, load_command_class
from django.db import connection

from audit.actors import system_user
from audit.commands import Recorded
from audit.models import Action, ActorKind, Entry
from common import context

pytestmark = pytest.mark.django_db(transaction=True)
COMMANDS = ["shell", "dbshell", "loaddata", "dumpdata", "flush"]


@pytest.fixture
def run(monkeypatch):
    """Run a command as `manage.py` does."""

    def run(name, *arguments, **options):
        out = io.StringIO()
        monkeypatch.setitem(context.process, "command", name)
        call_command(name, *arguments, stdout=out, **options)
        return out.getvalue()

    return run


@pytest.mark.parametrize("name", COMMANDS)
def test_it_is_ours_that_runs(name):
    assert isinstance(load_command_class(get_commands()[name], name), Recorded)


def test_a_line_of_code_in_the_shell_is_recorded_before_it_runs_and_not_told(run):
    run("shell", command="from audit.models import Entry; assert Entry.objects.count() == 1")
    found = Entry.objects.get()
    assert (found.action, found.actor_kind) == (Action.COMMAND, ActorKind.COMMAND)
    assert found.actor_name == system_user()
    assert found.after == {"command": "shell"}


def test_what_is_loaded_and_dumped_is(run, tmp_path):
    users = get_user_model().objects
    ada = users.create_user("ada", display_name="Ada")
    file = tmp_path / "users.json"
    file.write_text(run("dumpdata", "accounts.user"))
    users.filter(pk=ada.pk).update(display_name="Eve")
    run("loaddata", str(file))
    assert users.get().display_name == "Ada"
    found = Entry.objects.filter(action=Action.COMMAND).order_by("pk")
    assert [(one.after or {})["command"] for one in found] == ["dumpdata", "loaddata"]


def test_what_another_command_calls_is_that_one_s_to_answer_for(monkeypatch):
    monkeypatch.setitem(context.process, "command", "migrate")
    call_command("dumpdata", "accounts.user", stdout=io.StringIO())
    assert not Entry.objects.exists()


def test_where_the_log_takes_no_entry_it_says_so_and_goes_on(run, capsys):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_entry RENAME TO audit_elsewhere")
    try:
        run("shell", command="print('mended')")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE audit_elsewhere RENAME TO audit_entry")
    told = capsys.readouterr()
    assert "mended" in told.out
    assert "not in the audit log" in told.err
    assert not Entry.objects.exists()
