"""Who runs backup, restore, purge or erase by hand is in the audit log, before it begins."""

from uuid import UUID

import pytest
from django.core.management import call_command

from archive.tests.world import every, talk
from audit.models import Entry
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def chat(transactional_db):
    return talk(Person("ada"), Person("bob"), every(7, 3))


def run(*arguments, code=0):
    if code:
        with pytest.raises(SystemExit) as ended:
            call_command(*arguments)
        assert ended.value.code == code
    else:
        call_command(*arguments)
    return list(
        Entry.objects.order_by("pk").values_list("action", "actor_kind", "target_id", "after")
    )


@pytest.mark.parametrize(
    ("name", "asked"),
    [("backup", {}), ("trim", {}), ("purge", {}), ("verify", {"sample": "1.0"})],
)
def test_one_entry_each(chat, name, asked):
    assert run(name) == [(name, "command", name, {"asked": asked})]


def test_what_was_asked_is_kept(chat):
    assert run("backup", "--now") == [("backup", "command", "backup", {"asked": {"now": "True"}})]
    run("restore", "--chat", str(chat))
    assert Entry.objects.latest("pk").after == {"asked": {"chat": str(chat)}}


def test_what_only_says_what_it_would_do_is_not(chat):
    for name in ("backup", "trim", "purge"):
        assert run(name, "--dry-run") == []


def test_an_erased_message_and_an_erased_user_are_named(chat):
    user = Person("eve").id
    run("erase", "--chat", str(chat), "--seq", "1")
    entries = run("erase", "--user", str(user))
    assert [entry[:3] for entry in entries] == [
        ("redact", "command", f"{chat}/1"),
        ("erase_user", "command", str(user)),
        ("ban", "command", str(user)),
    ]


def test_a_run_that_fails_is_there_too(chat):
    nobody = UUID(int=5)
    assert run("erase", "--user", str(nobody), code=1)[0][2] == str(nobody)
