"""Migrations back to the first ones and forth again, on tables with rows; and none waits long for a lock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import psycopg
import pytest

from config.options import BASE_DIR

pytestmark = pytest.mark.timeout(300)
NAME = "strata_migrations"
FILL = """
from accounts.models import User
from accounts.services import block_user, register
from chats.services import send_message
from groups.services import create_group, send_message_to_group
people = [register(username=f"user{n}", password="a-long-password-7").user for n in range(4)]
ada, bob, cid, dan = (person.pk for person in people)
for n in range(30):
    send_message(sender_id=ada, recipient_id=bob, text=f"text {n}", client_id=f"id-{n}")
group = create_group(owner_id=ada, name="Readers", member_ids=[bob, cid])
for n in range(20):
    send_message_to_group(sender_id=bob, group_id=group.group_id, text=f"group text {n}")
block_user(blocker_id=dan, blocked_id=ada)
"""
# What no way back and forth may change: everything that people wrote and did.
KEPT = {
    "users": "SELECT id, username, password FROM accounts_user ORDER BY id",
    "tokens": "SELECT digest, user_id FROM accounts_token ORDER BY digest",
    "blocks": "SELECT blocker_id, blocked_id FROM accounts_block ORDER BY 1, 2",
    "messages": "SELECT chat_id, seq, sender_id, text, sent_at FROM messaging_message ORDER BY 1, 2",
    "memberships": "SELECT chat_id, user_id FROM messaging_membership ORDER BY 1, 2",
}


@pytest.fixture
def database(servers):
    """The URL of an empty database of its own."""
    url = os.environ["DATABASE_URL"]
    base = url.rpartition("/")[0]
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {NAME}")
        yield f"{base}/{NAME}"
        connection.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")


def manage(database, *arguments, status=0, **settings):
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=BASE_DIR,
        env={**os.environ, "DATABASE_URL": database, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def kept(database):
    with psycopg.connect(database) as connection:
        return {
            name: json.dumps(connection.execute(query).fetchall(), default=str)
            for name, query in KEPT.items()
        }


def steps():
    """Return each room's migrations, the first of each aside, newest first."""
    paths = sorted(BASE_DIR.glob("*/migrations/0*.py"))
    later = [path for path in paths if not path.name.startswith("0001")]
    return [(path.parent.parent.name, path.stem) for path in later[::-1]]


def test_back_and_forth_they_keep_what_people_wrote(database):
    manage(database, "migrate", "--no-input")
    manage(database, "shell", "--no-imports", "-c", FILL)
    before = kept(database)
    assert all(len(json.loads(rows)) > 0 for rows in before.values())
    for app in sorted({app for app, _ in steps()}):
        manage(database, "migrate", "--no-input", app, "0001")
    assert kept(database) == before
    manage(database, "migrate", "--no-input")
    assert kept(database) == before
    assert "No migrations to apply" in manage(database, "migrate", "--no-input")


def test_one_that_would_wait_for_a_lock_gives_up_before_requests_do(database):
    """Somebody reads a table in a long transaction: the migration ends, and nothing is changed."""
    manage(database, "migrate", "--no-input")
    app, _ = next(step for step in steps() if step[0] == "messaging")
    with psycopg.connect(database) as reader:
        for table in ("messaging_chat", "messaging_message", "messaging_membership"):
            reader.execute(f"SELECT count(*) FROM {table}")
        started = time.monotonic()
        said = manage(database, "migrate", "--no-input", app, "0001", status=1)
        assert time.monotonic() - started < 60
        assert "lock timeout" in said
        # Whoever comes after it is not held up by a wait that goes on.
        with psycopg.connect(database, options="-c lock_timeout=1000") as other:
            other.execute("SELECT count(*) FROM messaging_chat")
    manage(database, "migrate", "--no-input", app, "0001")
    manage(database, "migrate", "--no-input")


def test_requests_keep_their_own_limit(database):
    said = manage(
        database,
        "shell",
        "--no-imports",
        "-c",
        "from django.db import connection; c = connection.cursor(); "
        "c.execute('SHOW lock_timeout'); print(c.fetchone()[0])",
    )
    assert said.strip().endswith("4s")
