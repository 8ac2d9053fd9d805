"""A chat of very many messages through all of cold storage, in bounded memory.

A short form by itself; `make long-chat` takes a million messages (LONG_CHAT_MESSAGES), and prints
what each step took.
"""

import json
import os
import subprocess
import sys
import time
import zipfile
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from archive import export, store
from archive.models import Segment
from archive.tests.test_commands import database_url
from archive.tests.test_restoring import back, wipe
from archive.tests.world import ROOT, chat_of
from common.cache import cache
from messaging.models import Chat, Message
from tests.core.people import Person

MESSAGES = int(os.environ.get("LONG_CHAT_MESSAGES", "20000"))
MOST_KB = 200 * 1024
"""The most memory that a worker may take, as the kernel counts it."""
pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.timeout(3600),
]  # fmt: skip
# A process begins with the most memory that the one it was forked from ever had, which is the
# tests' own here; so a small one stands between.
_MEASURED = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:])
_, status, used = os.wait4(child.pid, 0)
child.returncode = os.waitstatus_to_exitcode(status)
print("\\n%d %f %d" % (child.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss))
"""
_FILL = """
INSERT INTO messaging_message (chat_id, seq, sender_id, kind, text, sent_at, client_id)
SELECT %(chat)s, n, CASE WHEN n %% 2 = 0 THEN %(one)s::uuid ELSE %(other)s::uuid END, 'text',
       'message ' || n || ' ' || md5(n::text), %(start)s::timestamptz + n * interval '250 ms',
       CASE WHEN n %% 10 = 0 THEN 'id ' || n END
  FROM generate_series(2, %(last)s) AS n
"""


def fill(one: Person, other: Person) -> UUID:
    """Give two people a chat of so many messages, a quarter of a second apart."""
    chat_id = chat_of(one.say(other, "the first"))
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SET transaction_timeout = 0")
        cursor.execute(
            _FILL,
            {"chat": chat_id, "one": one.id, "other": other.id, "last": MESSAGES,
             "start": "2026-02-01 00:00:00+00"},
        )  # fmt: skip
        cursor.execute(
            "UPDATE messaging_message SET sent_at = '2026-02-01 00:00:00.25+00' WHERE seq = 1"
        )
        cursor.execute(
            "UPDATE messaging_chat SET last_seq = %s, last_at ="
            " (SELECT max(sent_at) FROM messaging_message) WHERE id = %s",
            [MESSAGES, chat_id],
        )
        cursor.execute("UPDATE messaging_logstate SET floor = '2000-01-01'")
        cursor.execute("VACUUM ANALYZE messaging_message")
    cache.execute("FLUSHDB")
    return chat_id


def run(*arguments: str) -> dict[str, Any]:
    """Run a command; check that its memory stays bounded, and say what it took."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "DATABASE_URL": database_url()},
        check=False,
    )
    out, _, last = done.stdout.rstrip().rpartition(b"\n")
    status, seconds, kilobytes = map(float, last.split())
    print(  # noqa: T201 - what `make long-chat` is run for
        f"{arguments[0]:8} {time.monotonic() - began:8.1f} s, {seconds:7.1f} s of CPU,"
        f" {kilobytes / 1024:6.0f} MB at most"
    )
    assert status == 0, out
    assert kilobytes < MOST_KB
    report: dict[str, Any] = json.loads(out) if out.startswith(b"{") else {}
    return report


def page(person: Person, chat_id: UUID, before: int) -> list[int]:
    response = person.client.get(f"/chats/{chat_id}/messages/?before={before}&limit=50")
    assert response.status_code == 200
    return [message["seq"] for message in response.json()["results"]]


def test_a_chat_of_very_many_messages(tmp_path):
    ada, bob = Person("ada"), Person("bob")
    chat_id = fill(ada, bob)
    assert run("backup", "--json")["messages"] == MESSAGES
    assert Segment.objects.count() == (MESSAGES * 250 // 3_600_000) + 1
    assert run("trim", "--json")["messages"] >= MESSAGES - 1000 - 14400
    kept = Message.objects.count()
    assert 1000 <= kept <= 1000 + 14400
    places = [MESSAGES, MESSAGES - 3000, MESSAGES // 2, MESSAGES // 3, 51]
    for before in places:
        assert page(bob, chat_id, before) == list(range(before - 50, before))

    asked, _ = export.ask_for_export(user_id=ada.id)
    code = (
        "from uuid import UUID; from archive import export_making as making;"
        f" assert making.make_export(export_id=UUID('{asked.pk}')) == 'ready'"
    )
    run("shell", "--no-imports", "-c", code)
    name = tmp_path / "export.zip"
    store.patient.client.download_file("strata", export.key_of_export(ada.id, asked.pk), str(name))
    with zipfile.ZipFile(name) as archive, archive.open(f"messages/{chat_id}.ndjson") as lines:
        last = 0
        for last, line in enumerate(lines, 1):
            assert line.startswith(b'{"chat_id":"%b","seq":%d,' % (str(chat_id).encode(), last))
    assert last == MESSAGES

    wipe()
    assert run("restore", "--all", "--json")["messages"] == MESSAGES
    assert Message.objects.filter(chat=chat_id).count() == MESSAGES
    assert Chat.objects.get(pk=chat_id).last_seq == MESSAGES
    back(bob)
    for before in places:
        assert page(bob, chat_id, before) == list(range(before - 50, before))
    assert run("verify", "--json")["wrong"] == 0
