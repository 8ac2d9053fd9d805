"""S3 that is slow, refuses, errs, hangs up or gives other bytes: a run gets through, or says it did not."""

import threading
from collections import Counter

import pytest

from archive import backup as backups
from archive.models import Watermark
from archive.tests.proxy import bad_network
from archive.tests.world import bucket, command, every, in_bucket, talk, told
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
        ("slow down", "GET"), ("drop", "GET"), ("flip", "GET"),
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


@pytest.mark.parametrize("what", ["flip", "cut"])
def test_what_never_reads_back_right_is_never_recorded(chat, what):
    with bad_network(lambda method, _: what if method == "GET" else None) as address:
        result = command("backup", "--json", S3_ENDPOINT_URL=address)
    assert result.returncode == 1
    assert not Watermark.objects.exists()
    assert backups.backup()["ok"]
    assert in_bucket(chat[0], chat[2]) == told(chat[0], chat[2])
