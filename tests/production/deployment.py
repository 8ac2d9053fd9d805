"""The service as `docs/operations.md` runs it: two web servers on sockets behind nginx, the rest beside."""

from __future__ import annotations

import contextlib
import os
import secrets
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config.options import BASE_DIR
from config.proxy import wheel
from config.stack.folder import some_free_port
from config.stack.process import Process, Program, run_to_end

HOST = "localhost"
WEBS = ("web-1", "web-2")
# A proxy before ours, as far as that knows.
BALANCER = "127.0.0.77"


def until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Wait for something to be so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come to be in {seconds} s"
        time.sleep(0.02)


def make_certificate(certificate: Path, key: Path) -> None:
    """Write a certificate for `localhost` that vouches for itself, and its key."""
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(secret, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


class Deployment:
    """Its processes, each with the settings of production, on servers that run already."""

    def __init__(self, folder: Path, python: str, servers: Mapping[str, str]) -> None:
        self.folder = folder
        self.python = python
        self.code = BASE_DIR
        self.port = some_free_port()
        self.plain_port = some_free_port((self.port,))
        self.metrics_port = some_free_port((self.port, self.plain_port))
        self.base_url = f"https://{HOST}:{self.port}"
        self._processes: dict[str, Process] = {}
        for name in ("run", "data", "secrets"):
            (folder / name).mkdir(mode=0o700)
        self.environment = self._environment(servers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in list(self._processes):
            self.stop(name)

    def _environment(self, servers: Mapping[str, str]) -> dict[str, str]:
        """Return the settings; the secrets are in files."""
        secret = {
            "SECRET_KEY": secrets.token_hex(32),
            "ARCHIVE_KEY": secrets.token_hex(32),
            "DATABASE_URL": servers["DATABASE_URL"],
            "REDIS_URL": servers["REDIS_URL"].removesuffix("/0") + "/1",
            "S3_ACCESS_KEY_ID": servers["S3_ACCESS_KEY_ID"],
            "S3_SECRET_ACCESS_KEY": servers["S3_SECRET_ACCESS_KEY"],
        }
        for name, value in secret.items():
            (self.folder / "secrets" / name).write_text(value + "\n", encoding="utf-8")
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "DATA_DIR": str(self.folder / "data"),
            **{f"{name}_FILE": str(self.folder / "secrets" / name) for name in secret},
            "S3_ENDPOINT_URL": servers["S3_ENDPOINT_URL"],
            "S3_BUCKET": servers["S3_BUCKET"],
            "ALLOWED_HOSTS": HOST,
            "CSRF_TRUSTED_ORIGINS": self.base_url,
            "BEHIND_TLS_PROXY": "true",
            "TRUSTED_PROXIES": "1",
            "DOWNLOADS_BY_PROXY": "true",
            "WEB_DRAIN_SECONDS": "1",
            "WEB_GRACE_SECONDS": "10",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    # Processes -----------------------------------------------------------------------------------

    def command(self, name: str) -> list[str]:
        """Return how a process is started."""
        kind = name.partition("-")[0]
        return [self.python, "-m", "config.process", kind]

    def program(self, name: str, **settings: str) -> Program:
        """Return a process's program."""
        own = {"WEB_SOCKET": str(self.socket(name))} if name in WEBS else {}
        return Program(
            name,
            self.command(name),
            folder=self.code,
            environment={**self.environment, **own, **settings},
            grace=40.0,
        )

    def start(self, name: str, **settings: str) -> Process:
        """Start a process, and return once a web server serves."""
        process = self._spawn(name, self.program(name, **settings))
        if name in WEBS:
            until(lambda: self.serves(name) or process.status() is not None, f"{name} serving")
            assert process.status() is None, self.output(name)
        return process

    def migrate(self) -> None:
        """Run the migration to its end."""
        with self.log("migrate").open("ab") as log:
            status = run_to_end(self.program("migrate"), log.fileno())
        assert status == 0, self.output("migrate")

    def start_proxy(self, program: str = "") -> None:
        """Start nginx as its unit does, with a certificate of the test's own authority."""
        make_certificate(self.authority, self.folder / "key.pem")
        environment = {
            **self.environment,
            "PROXY_PROGRAM": program or str(wheel()),
            "PROXY_WEBS": ",".join(str(self.socket(name)) for name in WEBS),
            "PROXY_LISTEN": f"127.0.0.1:{self.plain_port}",
            "PROXY_TLS_LISTEN": f"127.0.0.1:{self.port}",
            "PROXY_TLS_CERTIFICATE": str(self.authority),
            "PROXY_TLS_KEY": str(self.folder / "key.pem"),
            "PROXY_ACME_FOLDER": str(self.folder / "acme"),
            "PROXY_INSIDE_LISTEN": f"127.0.0.1:{self.metrics_port}",
            "PROXY_FOLDER": str(self.folder / "proxy"),
            "PROXY_TRUSTED": BALANCER,
        }
        command = [sys.executable, "-m", "config.process", "proxy"]
        self._spawn("proxy", Program("proxy", command, BASE_DIR, environment))
        until(self._answers, "the proxy")

    def stop(self, name: str) -> int | None:
        """Stop a process as a service manager would; return its exit status."""
        process = self._processes.pop(name)
        process.ask_to_stop()
        deadline = time.monotonic() + process.program.grace
        while process.status() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        status = process.status()
        process.kill()
        return status

    def process(self, name: str) -> Process:
        """Return a running process."""
        return self._processes[name]

    def _spawn(self, name: str, program: Program) -> Process:
        with self.log(name).open("ab") as log:
            self._processes[name] = Process(program, output=log.fileno())
        return self._processes[name]

    # What is seen of it --------------------------------------------------------------------------

    def socket(self, name: str) -> Path:
        """Return a web server's socket."""
        return self.folder / "run" / f"{name}.sock"

    def log(self, name: str) -> Path:
        """Return a process's log."""
        return self.folder / f"{name}.log"

    def output(self, name: str) -> str:
        """Return what a process has said."""
        return self.log(name).read_text(encoding="utf-8") if self.log(name).exists() else ""

    def serves(self, name: str) -> bool:
        """Say whether a web server answers on its socket."""
        transport = httpx.HTTPTransport(uds=str(self.socket(name)))
        with (
            contextlib.suppress(httpx.HTTPError),
            httpx.Client(transport=transport, base_url=f"http://{HOST}", timeout=5) as client,
        ):
            return client.get("/healthz").status_code == 200
        return False

    @property
    def authority(self) -> Path:
        """The proxy's certificate, which vouches for itself."""
        return self.folder / "certificate.pem"

    def client(self, **options: object) -> httpx.Client:
        """Return a client that trusts the proxy's authority and nobody else."""
        context = ssl.create_default_context(cafile=str(self.authority))
        defaults: dict[str, object] = {"timeout": 30.0, "verify": context, "trust_env": False}
        return httpx.Client(base_url=self.base_url, **(defaults | options))  # type: ignore[arg-type]

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.HTTPError), self.client() as client:
            return client.get("/healthz").status_code == 200
        return False
