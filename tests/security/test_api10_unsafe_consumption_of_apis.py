"""API10:2023. What the object store answers is believed only where it is what we wrote there.

The scroll-back over damaged and swapped objects is in archive/tests/; here, what comes of a bucket
that somebody else can write to, through the route that hands its objects out.
"""

import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from config.options import BASE_DIR
from config.stack.live import LiveStack
from tests.http import Answer, Person

# A backup of all that other tests left takes minutes on a busy machine.
pytestmark = pytest.mark.timeout(600)
MIB = 1024 * 1024


@pytest.fixture(scope="session")
def bucket(live_stack: LiveStack) -> Iterator[tuple[Any, str]]:
    """A client of the store, and the bucket's name: what an attacker with its keys would have."""
    found = live_stack.environment()
    client = boto3.client(
        "s3",
        endpoint_url=found["S3_ENDPOINT_URL"],
        aws_access_key_id=found["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=found["S3_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )
    yield client, found["S3_BUCKET"]
    client.close()


@pytest.fixture
def archived(ann: Person, ben: Person, eve: Person, live_stack: LiveStack) -> dict[str, Any]:
    """Two chats of Ann's in the bucket, with the paths by which she gets them."""
    with_ben = ann.send(ben, "to Ben alone").ok(201)["chat_id"]
    with_eve = ann.send(eve, "to Eve alone").ok(201)["chat_id"]
    subprocess.run(
        [sys.executable, BASE_DIR / "manage.py", "backup", "--now"],
        check=True,
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(live_stack.data_dir)},
        timeout=500,
        capture_output=True,
    )
    path = {
        chat: ann.get("/archive/", chat_id=chat).ok()["results"][0]["path"].strip("/")
        for chat in (with_ben, with_eve)
    }
    return {"ben": path[with_ben], "eve": path[with_eve]}


def download(person: Person, path: str) -> Answer:
    return person.get(f"/archive/{path}/")


def test_what_was_written_is_handed_out(ann: Person, archived: dict[str, Any]) -> None:
    answer = download(ann, archived["ben"])
    assert answer.status == 200
    assert b"to Ben alone" in answer.content


@pytest.mark.parametrize(
    "replaced",
    [
        gzip.compress(b'{"text":"forged"}\n', mtime=0),
        gzip.compress(b"\0" * (300 * MIB), mtime=0),
        b'{"text":"forged"}\n',
        b"<html><script>forged</script></html>",
        b"",
        b"\x1f\x8b" + os.urandom(1000),
    ],
    ids=["lines", "bomb", "plain", "page", "nothing", "noise"],
)
def test_what_somebody_else_wrote_is_not(
    ann: Person, archived: dict[str, Any], bucket: tuple[Any, str], replaced: bytes
) -> None:
    client, name = bucket
    client.put_object(Bucket=name, Key=f"{ann.user_id}/{archived['ben']}", Body=replaced)
    answer = download(ann, archived["ben"])
    answer.refused(503, "archive_unavailable")
    assert b"forged" not in answer.content


def test_nor_is_what_was_written_for_another_user_or_chat(
    ann: Person, eve: Person, archived: dict[str, Any], bucket: tuple[Any, str]
) -> None:
    client, name = bucket
    private = {"Bucket": name, "Key": f"{ann.user_id}/{archived['ben']}"}
    client.copy_object(Bucket=name, Key=f"{eve.user_id}/{archived['eve']}", CopySource=private)
    client.copy_object(Bucket=name, Key=f"{eve.user_id}/{archived['ben']}", CopySource=private)
    for path, status in ((archived["eve"], 503), (archived["ben"], 404)):
        answer = download(eve, path)
        answer.refused(status)
        assert b"to Ben alone" not in answer.content
