"""The stack of the past: its clock, its bucket, its commands."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import psycopg

from config import options
from config.stack.folder import some_free_port
from config.stack.live import LiveStack
from config.stack.server import clean_environment
from config.stack.servers import LocalServers
from tests.http import JSON, Server
from tests.past.clock import Clock
from tests.past.gateway import Gateway

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Object:
    """An object as a plain S3 client gets it."""

    key: str
    raw: bytes
    metadata: dict[str, str]
    content_type: str
    content_encoding: str

    @property
    def plain(self) -> bytes:
        """What is packed in it."""
        return gzip.decompress(self.raw)

    @property
    def lines(self) -> list[bytes]:
        """Its lines, each of which has an end."""
        plain = self.plain
        assert plain.endswith(b"\n")
        return plain[:-1].split(b"\n")

    @property
    def messages(self) -> list[JSON]:
        """The messages in it."""
        return [json.loads(line) for line in self.lines]

    @property
    def sha256(self) -> str:
        """The digest of what is packed in it."""
        return hashlib.sha256(self.plain).hexdigest()


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def report(self) -> JSON:
        """The one line that it printed."""
        (line,) = self.out.splitlines()
        report: JSON = json.loads(line)
        return report

    def ok(self) -> JSON:
        """Demand that it did what it was to; return its report."""
        assert self.status == 0, self
        return self.report


class PastStack:
    """PostgreSQL, Valkey, web, worker, beat and sweeper at a time of the past, and their bucket."""

    def __init__(
        self, folder: Path, start: datetime, settings: Mapping[str, str] | None = None
    ) -> None:
        folder.mkdir(mode=0o711)
        folder.chmod(0o711)
        self.clock = Clock(folder, start)
        self.store = LocalServers(folder / "store", ["s3"])
        found = self.store.environment()
        self.secrets = {name: found[name] for name in found if name.startswith("S3_")}
        self.gateway = Gateway(
            some_free_port(), found["S3_ENDPOINT_URL"], found["S3_SECRET_ACCESS_KEY"]
        )
        self.settings = {
            **self.secrets,
            "S3_ENDPOINT_URL": self.gateway.url,
            **self.clock.environment,
            **(settings or {}),
        }
        self.live = LiveStack(folder / "live", some_free_port(), self.settings)
        self.server = Server(self.live.base_url)

    def __enter__(self) -> Self:
        try:
            self.store.start()
            self.gateway.start()
            self.live.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop all of it."""
        self.server.close()
        self.live.stop()
        self.gateway.stop()
        self.store.stop()

    # Commands ------------------------------------------------------------------------------------

    def manage(self, *arguments: str, **environment: str) -> Ended:
        """Run `manage.py` as in another terminal, under the same clock."""
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=1800)
        return Ended(process.returncode, out, err)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start `manage.py` without waiting for it."""
        known = {option.name for section in options.SECTIONS.values() for option in section}
        inherited = {
            name: value for name, value in clean_environment().items() if name not in known
        }
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=options.BASE_DIR,
            env={
                **inherited,
                **self.clock.environment,
                "DATA_DIR": str(self.live.data_dir),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def do(self, *arguments: str, **environment: str) -> JSON:
        """Run a command that is to succeed; return its report."""
        return self.manage(*arguments, "--json", **environment).ok()

    # The bucket, as any S3 client sees it --------------------------------------------------------

    @property
    def s3(self) -> S3Client:
        """A client with the credentials of `DATA_DIR/env`, past the gateway."""
        import boto3
        from botocore.config import Config

        if not hasattr(self, "_s3"):
            self._s3 = boto3.client(
                "s3",
                endpoint_url=self.store.environment()["S3_ENDPOINT_URL"],
                region_name=self.secrets["S3_REGION"],
                aws_access_key_id=self.secrets["S3_ACCESS_KEY_ID"],
                aws_secret_access_key=self.secrets["S3_SECRET_ACCESS_KEY"],
                config=Config(proxies={}),
            )
        return self._s3

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.secrets["S3_BUCKET"]

    def keys(self, prefix: str = "") -> list[str]:
        """Return the bucket's keys, in order."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [each["Key"] for page in pages for each in page.get("Contents", [])]

    def hour_keys(self) -> list[str]:
        """Return the keys of the hour objects."""
        return [key for key in self.keys() if not key.startswith("_system/")]

    def get(self, key: str) -> Object:
        """Return an object."""
        found = self.s3.get_object(Bucket=self.bucket, Key=key)
        return Object(
            key,
            found["Body"].read(),
            found["Metadata"],
            found["ContentType"],
            found.get("ContentEncoding", ""),
        )

    def put(self, key: str, raw: bytes, like: Object) -> None:
        """Put other bytes in an object's place, whose headers are those of `like`."""
        self.s3.put_object(
            Bucket=self.bucket,
            Key=key,
            Body=raw,
            Metadata=like.metadata,
            ContentType=like.content_type,
            ContentEncoding=like.content_encoding,
        )

    def delete(self, key: str) -> None:
        """Delete an object."""
        self.s3.delete_object(Bucket=self.bucket, Key=key)

    # The database --------------------------------------------------------------------------------

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with psycopg.connect(self.live.environment()["DATABASE_URL"], autocommit=True) as database:
            cursor = database.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []
