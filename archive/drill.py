"""Drill: the newest backup restored into a scratch database and compared with the live one.

Message by message; so that a restore is proved before it is needed, and the cost of losing the
database right now is a number. The scratch database is on the same server and goes afterwards.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from secrets import token_hex
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from urllib.parse import urlsplit
from uuid import UUID

import orjson
import psycopg
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now
from psycopg import sql

from archive.keys import confirmed
from archive.locks import held
from archive.models import DrillRun
from archive.runs import Shower, Silent, Tally
from archive.sql import read_sql
from archive.steps import step
from common.database import row, rows

PREFIX = "strata_drill_"
_LOCK = 0x5354 << 40
_LEFT = """
SELECT d.datname FROM pg_database d WHERE starts_with(d.datname, %(prefix)s)
"""
# An erased user's client_ids were in their own copies alone, which are deleted: none comes back.
_MESSAGES = """
SELECT m.chat_id, m.seq, m.sender_id, m.kind, m.text, m.sent_at,
       CASE WHEN e.user_id IS NULL THEN m.client_id END
  FROM messaging_message m LEFT JOIN archive_eraseduser e ON e.user_id = m.sender_id
 ORDER BY m.chat_id, m.seq
"""
_COLD = read_sql("ranges_in_cold_storage_alone.sql")
_THERE = """
SELECT count(m.seq) FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[]) AS r(chat, first, last)
  JOIN messaging_message m ON m.chat_id = r.chat AND m.seq BETWEEN r.first AND r.last
"""
RANGES_AT_ONCE = 1000
_SPOOL_BYTES = 1024 * 1024
# Nobody hears of what is restored in a drill.
_NO_CACHE = "redis://127.0.0.1:9/0"
_SHOWN = 500


Range = tuple[UUID, int, int]
"""A chat with the first and the last of some seqs."""


class DrillFailed(Exception):
    """The scratch database could not be made, or the backup not be restored into it."""


@dataclass(slots=True)
class Comparison:
    """What the live database holds, held against what came back."""

    restored: int = 0
    differing: int = 0
    lost: int = 0
    missing: int = 0
    """Of those that only cold storage should have; `lost` are of the live database's."""
    oldest_lost: datetime | None = None


def drill(*, shower: Shower | None = None) -> dict[str, Any]:
    """Restore the newest backup into a scratch database, compare, and leave a row of the result.

    One at a time: raises Busy while another is at it.
    """
    with held(_LOCK, patience=0.0):
        return _drill(shower or Silent(), Tally())


def _drill(shower: Shower, tally: Tally) -> dict[str, Any]:
    _tidy()
    run = DrillRun.objects.create()
    shower.total(3)
    detail, found = "", Comparison()
    try:
        with scratch_database() as name:
            manage(name, "migrate", "--verbosity", "0")
            shower.advance(1)
            # Before the restore: what is backed up and trimmed meanwhile it need not have.
            cold = _cold_ranges()
            step("drill.ranges")
            report = orjson.loads(manage(name, "restore", "--all", "--json"))
            step("drill.restored")
            shower.advance(1)
            if not report["ok"]:
                detail = "; ".join(report.get("failures", ["the restore reported a failure"]))
            found = compare(name, cold)
            shower.advance(1)
    except (DrillFailed, psycopg.Error, orjson.JSONDecodeError) as error:
        detail = " ".join(str(error).split()) or type(error).__name__
    now: datetime = row("SELECT clock_timestamp()", ())[0]
    seconds = (now - found.oldest_lost).total_seconds() if found.oldest_lost else 0.0
    if found.differing:
        detail = f"{found.differing} messages came back otherwise. {detail}"
    if found.missing:
        detail = f"{found.missing} messages that only cold storage should have are lost. {detail}"
    if detail:
        tally.fail("drill", DrillFailed(detail[:_SHOWN]))
    counts = {"restored": found.restored, "differing": found.differing, "lost": found.lost}
    counts["missing"] = found.missing
    tally.add(**counts)
    DrillRun.objects.filter(pk=run.pk).update(
        finished_at=Now(), ok=not detail, lost_seconds=seconds, detail=detail[:_SHOWN], **counts
    )
    since = confirmed()
    kept = f"kept elsewhere since {since:%Y-%m-%d}" if since else "not confirmed as kept elsewhere"
    report = {"command": "drill", "lost_seconds": round(seconds, 3), "archive_key": kept}
    return {**report, **tally.report()}


def _prefix() -> str:
    """Return how the scratch databases of this very database are called."""
    (number,) = row("SELECT oid::bigint FROM pg_database WHERE datname = current_database()", ())
    return f"{PREFIX}{number}_"


def _tidy() -> None:
    """Drop what a drill that was killed has left; needs the drills' lock."""
    for (name,) in rows(_LEFT, {"prefix": _prefix()}):
        with _connected() as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(_named(name)))


@contextmanager
def scratch_database() -> Iterator[str]:
    """Make an empty database beside the live one, and drop it in the end."""
    name = f"{_prefix()}{token_hex(6)}"
    with _connected() as server:
        try:
            server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(_named(name)))
        except psycopg.Error as error:
            raise DrillFailed(f"no scratch database: {error}") from error
    try:
        step("drill.created")
        yield name
    finally:
        with _connected() as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(_named(name)))


def manage(database: str, *arguments: str) -> str:
    """Run one of our commands on another database, return its output; raises DrillFailed."""
    url = urlsplit(settings.DATABASE_URL)._replace(path=f"/{database}").geturl()
    others = {
        "DATABASE_URL": url,
        "REDIS_URL": _NO_CACHE,
        "QUEUE_URL": _NO_CACHE,
        "DB_TRANSACTION_TIMEOUT_MS": "0",
    }
    # Where ours come from files, those would speak against the others.
    own = {
        name: value
        for name, value in os.environ.items()
        if name.removesuffix("_FILE") not in others
    }
    done = subprocess.run(
        [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments],
        env={**own, **others},
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and not done.stdout.startswith("{"):
        raise DrillFailed(f"{arguments[0]} failed: {done.stderr.strip()[-_SHOWN:]}")
    return done.stdout


def _cold_ranges() -> IO[bytes]:
    """Return a file of the ranges that only cold storage has now, a line each, in order."""
    file: IO[bytes] = SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115 - compare reads it
    with _connected() as live:
        file.writelines(b"%s %d %d\n" % (str(c).encode(), a, b) for c, a, b in _ranges(live))
    return file


def compare(database: str, cold: IO[bytes]) -> Comparison:
    """Walk through both databases in one order and compare what both should hold.

    What the live one has trimmed is only in the other: that is as it should be. `cold` has what
    only cold storage had before the restore began.
    """
    found = Comparison()
    with _connected() as live, _connected(database) as other:
        restored = _walk(other)
        there = next(restored, None)
        for message in _walk(live):
            while there is not None and there[:2] < message[:2]:
                found.restored += 1
                there = next(restored, None)
            if there is None or there[:2] != message[:2]:
                found.lost += 1
                found.oldest_lost = min(found.oldest_lost or message[5], message[5])
                continue
            found.restored += 1
            found.differing += there != message
            there = next(restored, None)
        while there is not None:
            found.restored += 1
            there = next(restored, None)
        found.missing = _missing(both(_read(cold), _ranges(live)), other)
    return found


def _missing(wanted: Iterator[Range], other: psycopg.Connection[Any]) -> int:
    """Return how many seqs of these ranges did not come back."""
    missing = 0
    while some := list(islice(wanted, RANGES_AT_ONCE)):
        chats, firsts, lasts = (list(column) for column in zip(*some, strict=True))
        there = other.execute(_THERE, (chats, firsts, lasts)).fetchone()
        missing += sum(lasts) - sum(firsts) + len(lasts) - (there[0] if there else 0)
    return missing


def both(before: Iterator[Range], now: Iterator[Range]) -> Iterator[Range]:
    """Yield what is in the ranges of before and still in those of now, both in order.

    What was purged since is in the first alone, what was trimmed since in the second alone.
    """
    one, other = next(before, None), next(now, None)
    while one is not None and other is not None:
        if one[0] == other[0] and max(one[1], other[1]) <= min(one[2], other[2]):
            yield one[0], max(one[1], other[1]), min(one[2], other[2])
        if (one[0], one[2]) < (other[0], other[2]):
            one = next(before, None)
        else:
            other = next(now, None)


def _ranges(live: psycopg.Connection[Any]) -> Iterator[Range]:
    with live.transaction(), live.cursor(name="ranges") as cursor:
        cursor.itersize = RANGES_AT_ONCE
        cursor.execute(_COLD)
        yield from cursor


def _read(file: IO[bytes]) -> Iterator[Range]:
    file.seek(0)
    for line in file:
        chat, first, last = line.split()
        yield UUID(chat.decode()), int(first), int(last)


def _walk(server: psycopg.Connection[Any]) -> Iterator[tuple[Any, ...]]:
    with server.transaction(), server.cursor(name="messages") as cursor:
        cursor.itersize = 2000
        cursor.execute(_MESSAGES)
        yield from cursor


@contextmanager
def _connected(database: str | None = None) -> Iterator[psycopg.Connection[Any]]:
    """Connect to a database of the live server, without the limits that requests have."""
    parameters = connection.get_connection_params()
    for ours in ("cursor_factory", "context", "prepare_threshold", "server_side_binding"):
        parameters.pop(ours, None)
    parameters |= {"options": "-c jit=off", "autocommit": True}
    if database:
        parameters["dbname"] = database
    with psycopg.connect(**parameters) as server:
        yield server


def _named(name: str) -> sql.Identifier:
    return sql.Identifier(name)
