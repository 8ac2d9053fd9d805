"""Chats with messages at chosen times, and the bucket read as any S3 client reads it."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from archive import store
from common.cache import cache
from messaging.models import Chat, Message
from tests.core.people import Person

ROOT = Path(__file__).resolve().parents[2]


def moment(text: str) -> datetime:
    """Return the time that `2026-01-07 03:15:00` names, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def date(chat_id: UUID | str, times: Iterable[datetime], *, first: int = 1) -> None:
    """Give a chat's messages these times, as if they had been sent then; they only go forward."""
    seq = first
    with connection.cursor() as cursor:
        for seq, at in enumerate(times, first):
            cursor.execute(
                "UPDATE messaging_message SET sent_at = %s WHERE chat_id = %s AND seq = %s",
                [at, chat_id, seq],
            )
            cursor.execute(
                "UPDATE messaging_membership SET left_at = %s WHERE chat_id = %s AND last_seq = %s",
                [at, chat_id, seq],
            )
        cursor.execute(
            "UPDATE messaging_chat SET last_at = %s WHERE id = %s AND last_seq = %s",
            [at, chat_id, seq],
        )
        cursor.execute("UPDATE messaging_logstate SET floor = '2000-01-01'")
    cache.execute("FLUSHDB")


def chat_of(sent: Any) -> UUID:
    """Return the chat of a message that was sent."""
    return UUID(json.loads(sent.line.body)["chat_id"])


def talk(one: Person, other: Person, times: Iterable[datetime], *, prefix: str = "text") -> UUID:
    """Have two people send in turn at these times; return their chat's id."""
    times = list(times)
    for number, _ in enumerate(times, 1):
        sender, recipient = (one, other) if number % 2 else (other, one)
        sent = sender.say(recipient, f"{prefix} {number}", f"id {number}" if number % 3 else None)
    chat_id = chat_of(sent)
    date(chat_id, times)
    return chat_id


def add(actor: Person, group_id: UUID, person: Person) -> None:
    """Make a person a member of a group."""
    response = actor.post("/add_user_to_group", group_id=str(group_id), user_id=str(person.id))
    assert response.status_code == 201, response.content


def remove(actor: Person, group_id: UUID, person: Person) -> None:
    """Remove a person from a group."""
    response = actor.post("/remove_user_from_group", group_id=str(group_id), user_id=str(person.id))
    assert response.status_code == 200, response.content


def every(minutes: float, count: int, start: str = "2026-01-07 03:00:00") -> list[datetime]:
    """Return that many times, so many minutes apart."""
    return [moment(start) + timedelta(minutes=minutes * n) for n in range(count)]


def bucket() -> dict[str, bytes]:
    """Return the hour objects' bytes by key."""
    return {
        key: read(key)["raw"] for key, _ in store.patient.keys("") if not key.startswith("_system/")
    }


def read(key: str) -> dict[str, Any]:
    """Return an object as an S3 client sees it."""
    found = store.patient.client.get_object(Bucket=settings.S3_BUCKET, Key=key)
    raw = found["Body"].read()
    plain = gzip.decompress(raw)
    return {
        "raw": raw,
        "plain": plain,
        "messages": [json.loads(line) for line in plain.splitlines()],
        "metadata": found["Metadata"],
        "type": found["ContentType"],
        "encoding": found["ContentEncoding"],
    }


def overwrite(key: str, raw: bytes) -> None:
    """Put other bytes in an object's place."""
    found = store.patient.client.head_object(Bucket=settings.S3_BUCKET, Key=key)
    store.patient.client.put_object(
        Bucket=settings.S3_BUCKET, Key=key, Body=raw, Metadata=found["Metadata"],
        ContentEncoding="gzip", ContentType=found["ContentType"],
    )  # fmt: skip


def told(person: Person, chat_id: UUID) -> list[dict[str, Any]]:
    """Return all of a chat that a person can scroll to, oldest first."""
    url: str | None = f"/chats/{chat_id}/messages/?limit=7"
    found: list[dict[str, Any]] = []
    while url:
        response = person.client.get(url)
        assert response.status_code == 200, response.content
        found = response.json()["results"] + found
        url = response.json()["next"]
    return found


def in_bucket(person: Person, chat_id: UUID) -> list[dict[str, Any]]:
    """Return what a person's prefix holds of a chat, in order of hours."""
    found = []
    for key, _ in store.patient.keys(f"{person.id}/"):
        if key.endswith(f"/{chat_id}"):
            found += read(key)["messages"]
    return found


def cut_rows(chat_id: UUID, db_seq: int) -> None:
    """Take the messages below a seq out of the database, as trim does."""
    Message.objects.filter(chat=chat_id, seq__lt=db_seq).delete()
    Chat.objects.filter(pk=chat_id).update(db_seq=db_seq)
    cache.execute("FLUSHDB")


def database_url() -> str:
    """Return the address of the tests' database."""
    database = connection.settings_dict
    return (
        f"postgres://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:"
        f"{database['PORT']}/{database['NAME']}"
    )


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py in a process of its own, on the tests' database."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url(), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
