"""S3 that runs out of space, for real: a server whose volumes are full takes no more."""

import base64
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from archive.models import HourObject, Segment, Watermark
from archive.tests.world import command, every, talk, told
from config.stack.folder import DataFolder
from config.stack.process import Program
from config.stack.s3 import ObjectStore
from messaging.models import Message
from tests.core.people import Person

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


class SmallStore(ObjectStore):
    """The S3 server with one volume of a megabyte for each bucket, until it is given more."""

    volumes = 2

    def program(self) -> Program:
        program = super().program()
        options = {
            "-volume.max": self.volumes,
            "-master.volumeSizeLimitMB": 1,
        }
        command = [
            f"{name}={options.get(name, value)}" if equals else name
            for name, equals, value in (one.partition("=") for one in program.command)
        ]
        return replace(program, command=command)


@pytest.fixture
def small() -> Iterator[SmallStore]:
    with tempfile.TemporaryDirectory(prefix="strata-full-") as name:
        folder = DataFolder(Path(name) / "store")
        folder.open()
        server = SmallStore(folder)
        server.start()
        yield server
        server.stop()


def has(server: SmallStore, key: str) -> bool:
    return key in keys(server)


def keys(server: SmallStore) -> set[str]:
    found = server.environment()
    client: Any = boto3.client(
        "s3", endpoint_url=found["S3_ENDPOINT_URL"], region_name=found["S3_REGION"],
        aws_access_key_id=found["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=found["S3_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=found["S3_BUCKET"])
    return {entry["Key"] for page in pages for entry in page.get("Contents", [])}


def test_a_full_store_is_said_and_nothing_is_recorded_that_it_lacks(small):
    ada, bob = Person("ada"), Person("bob")
    chat_id = talk(ada, bob, every(1, 900))
    # Random enough that no packing makes it small: several megabytes for the two of them.
    for seq in range(1, 901):
        Message.objects.filter(chat=chat_id, seq=seq).update(
            text=base64.b85encode(os.urandom(3200)).decode()
        )
    before = told(ada, chat_id)
    refused = command("backup", "--json", **small.environment())
    assert refused.returncode == 1, refused.stdout
    assert "Traceback" not in refused.stderr
    there = keys(small)
    for entry in HourObject.objects.select_related("segment"):
        hour = entry.segment.hour
        assert f"{entry.user_id}/{hour:%Y/%j/%H}/{chat_id}" in there
    assert Segment.objects.count() < 15
    command("trim", DB_MESSAGES_PER_CHAT="10", HOT_MESSAGES_PER_CHAT="5", **small.environment())
    archived = Watermark.objects.filter(chat=chat_id).values_list("archived_seq", flat=True).first()
    left = Message.objects.filter(chat=chat_id).order_by("seq").values_list("seq", flat=True)
    assert left[0] <= (archived or 0) + 1
    assert list(left) == list(range(left[0], 901))

    small.stop()
    small.volumes = 100
    small.start()
    assert command("backup", **small.environment()).returncode == 0
    assert Segment.objects.count() == 15
    assert len({key for key in keys(small) if not key.startswith("_system/")}) == 30
    assert command("verify", **small.environment()).returncode == 0
    assert len(before) == 900
