"""S3 that is slow, refuses, errs, hangs up or gives other bytes: a run gets through, or says it did not."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import psycopg
import pytest
from django.conf import settings
from django.test import override_settings

from archive import backup as backups
from archive import restore, store
from archive.models import Watermark
from archive.tests.proxy import bad_network
from archive.tests.test_restoring import back, wipe
from archive.tests.world import (
    bucket,
    command,
    cut_rows,
    database_url,
    every,
    in_bucket,
    overwrite,
    talk,
    told,
)
from common.cache import cache
from messaging.models import Message
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def chat():
    ada, bob = Person("ada"), Person("bob")
    chat_id = talk(ada, bob, every(20, 9))
    return ada, bob, chat_id


def now_and_then(what: str, method: str):
    """Harm the first try of every second object, and each object once at most."""
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def harm(asked: str, path: str) -> str | None:
        if asked != method:
            return None
        with lock:
            seen[path] += 1
            return what if seen[path] == 1 and len(seen) % 2 else None

    return harm


@pytest.mark.parametrize(
    ("what", "method"),
    [
        ("slow down", "PUT"), ("error", "PUT"), ("drop", "PUT"),
        ("break", "PUT"), ("garble", "PUT"), ("slow", "PUT"),
        ("slow down", "GET"), ("error", "GET"), ("drop", "GET"), ("flip", "GET"), ("cut", "GET"),
        ("slow", "GET"), ("half an error", "GET"), ("half an error", "PUT"),
    ],
)  # fmt: skip
def test_a_backup_gets_through_what_passes(chat, what, method):
    ada, bob, chat_id = chat
    with bad_network(now_and_then(what, method)) as address:
        result = command("backup", "--json", S3_ENDPOINT_URL=address)
    assert result.returncode == 0, result.stdout + result.stderr
    for person in (ada, bob):
        assert in_bucket(person, chat_id) == told(person, chat_id)
    before = bucket()
    Watermark.objects.all().delete()
    assert backups.backup()["ok"]
    assert bucket() == before


def test_a_server_that_knows_no_conditional_writes_will_do(chat):
    ada, bob, chat_id = chat
    asked: list[str] = []

    def plain(method: str, path: str) -> str:
        asked.append(f"{method} {path}")
        return "plain"

    with bad_network(plain) as address:
        result = command("backup", "--json", S3_ENDPOINT_URL=address)
        assert result.returncode == 0, result.stdout + result.stderr
        damaged = min(bucket())
        overwrite(damaged, b"damaged")
        result = command("verify", "--repair", "--json", S3_ENDPOINT_URL=address)
        assert result.returncode == 0, result.stdout + result.stderr
    for person in (ada, bob):
        assert in_bucket(person, chat_id) == told(person, chat_id)
    # It is found out once a run, not for each object.
    objects = [one for one in asked if one.startswith("PUT") and "/_system/" not in one]
    assert len(objects) < 2 * len(bucket()) + 12
    before = bucket()
    Watermark.objects.all().delete()
    assert backups.backup()["ok"]
    assert bucket() == before


@pytest.mark.parametrize(
    ("what", "harmed"), [("flip", "GET"), ("cut", "GET"), ("garble", "PUT"), ("full", "PUT")]
)
def test_what_never_reads_back_right_is_never_recorded(chat, what, harmed):
    with bad_network(lambda method, _: what if method == harmed else None) as address:
        result = command("backup", "--json", S3_ENDPOINT_URL=address)
    assert result.returncode == 1
    assert not Watermark.objects.exists()
    assert backups.backup()["ok"]
    assert in_bucket(chat[0], chat[2]) == told(chat[0], chat[2])


def test_a_slow_store_shows_the_same_pages(chat):
    ada, _, chat_id = chat
    before = told(ada, chat_id)
    backups.backup()
    cut_rows(chat_id, 9)
    with (
        bad_network(lambda method, _: "slow" if method == "GET" else None) as address,
        brisk_at(address),
    ):
        assert told(ada, chat_id) == before


@pytest.mark.parametrize("what", ["error", "half an error", "slow down", "drop", "cut", "flip"])
def test_a_page_is_right_or_a_503_whatever_the_store_does(chat, what):
    ada, _, chat_id = chat
    before = told(ada, chat_id)
    backups.backup()
    cut_rows(chat_id, 9)
    url = f"/chats/{chat_id}/messages/?limit=50"
    with (
        bad_network(lambda method, _: what if method == "GET" else None) as address,
        brisk_at(address),
    ):
        refused = ada.client.get(url)
    assert refused.status_code == 503
    assert refused.json()["errors"][0]["code"] == "archive_unavailable"
    assert "Retry-After" in refused
    assert ada.client.get(url).json()["results"] == before


@pytest.mark.parametrize("what", ["error", "drop", "cut"])
def test_a_page_or_a_download_that_breaks_off_once_is_whole_all_the_same(chat, what):
    ada, _, chat_id = chat
    before = told(ada, chat_id)
    backups.backup()
    cut_rows(chat_id, 9)
    (path, *_) = (one["path"] for one in ada.client.get("/archive/").json()["results"])
    whole = ada.client.get(f"/archive/{path}").content
    for url in (f"/chats/{chat_id}/messages/?limit=50", f"/archive/{path}"):
        harms = iter([what])
        cache.execute("FLUSHDB")
        with (
            bad_network(lambda *_, harms=harms: next(harms, None)) as address,
            brisk_at(address),
        ):
            answer = ada.client.get(url)
        assert answer.status_code == 200
        if url.startswith("/archive/"):
            assert answer.content == whole
        else:
            assert answer.json()["results"] == before
        assert next(harms, None) is None


@pytest.fixture
def lost(chat):
    """The chat, backed up, and its messages lost."""
    ada, bob, chat_id = chat
    assert backups.backup()["ok"]
    before = [told(person, chat_id) for person in (ada, bob)]
    wipe()
    yield
    back(ada)
    back(bob)
    assert [told(person, chat_id) for person in (ada, bob)] == before


@pytest.mark.parametrize("what", ["error", "half an error", "slow down", "drop", "cut", "flip"])
def test_a_restore_gets_through_what_passes(lost, what):
    harmed = now_and_then(what, "GET")
    with bad_network(lambda method, path: harmed(method, path.partition("?")[0])) as address:
        result = command("restore", "--all", "--json", S3_ENDPOINT_URL=address)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_restore_of_a_slow_store_is_ended_by_no_limit_on_statements(lost):
    limit = urlencode({"options": "-c statement_timeout=300"})
    with bad_network(lambda method, _: "slow" if method == "GET" else None) as address:
        result = command(
            "restore", "--all", "--json", S3_ENDPOINT_URL=address, DB_TRANSACTION_TIMEOUT_MS="300",
            DATABASE_URL=f"{database_url()}?{limit}",
        )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_restore_whose_database_connection_dies_says_so_and_may_be_run_again(lost):
    def end_copy(method: str, path: str) -> None:
        if method == "GET" and "/2026/007/05/" in path:
            with psycopg.connect(database_url(), autocommit=True) as server:
                server.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE query LIKE 'COPY%' AND state = 'active'"
                )

    with bad_network(end_copy) as address:
        result = command("restore", "--all", "--json", S3_ENDPOINT_URL=address)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "terminating connection" in result.stdout, result.stdout
    assert not Message.objects.exists()
    assert restore.restore()["ok"]


@contextmanager
def brisk_at(address: str) -> Iterator[None]:
    """Have pages read from another address of the same server."""
    bucket_options = {**settings.STORAGES["archive-pages"]["OPTIONS"], "endpoint_url": address}
    storages = {
        **settings.STORAGES,
        "archive-pages": {**settings.STORAGES["archive-pages"], "OPTIONS": bucket_options},
    }
    forget()
    with override_settings(STORAGES=storages, S3_ENDPOINT_URL=address):
        yield
    forget()


def forget() -> None:
    store.brisk._clients.clear()
    store.brisk._directs.clear()
    store.brisk._left_alone_until = 0.0
