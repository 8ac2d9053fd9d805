"""The local stack as a whole: what it takes from the environment, and what it tells others."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import replace
from types import TracebackType
from typing import Self

from environs import Env, EnvError

from config import options
from config.environment import data_dir, env_line
from config.stack.errors import StackError
from config.stack.folder import DataFolder, refusal
from config.stack.orphans import MARK, end_orphans
from config.stack.output import Output
from config.stack.outside import check_outside
from config.stack.process import one_sentence, write_whole
from config.stack.server import Server
from config.stack.servers import KINDS
from config.stack.supervisor import Supervisor
from config.stack.units import Sizes, Unit, application_units, reachable, server_units

# What a server on this machine alone, without HTTPS, needs otherwise than one on the internet.
LOCAL_DEFAULTS = {
    "SECURE_SSL_REDIRECT": "false",
    "SECURE_COOKIES": "false",
    "SECURE_HSTS_SECONDS": "0",
}
# Stays out of DATA_DIR/env: manage.py decides about it, command by command.
PRIVATE = {options.DB_TRANSACTION_TIMEOUT_MS.name}


class Stack:
    """Holds the data folder while it runs."""

    def __init__(self) -> None:
        try:
            # From here on a secret is where all of the stack looks for it.
            options.take_files(os.environ)
        except EnvError as error:
            raise StackError(f"A setting can't be read: {error} (see docs/settings.md)") from error
        self._sizes = _sizes()
        self._folder = DataFolder(data_dir())

    def __enter__(self) -> Self:
        self._folder.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.close()

    def run(self) -> None:
        """Start everything and keep it running until a signal ends it."""
        output = Output(self._folder.log)
        if ended := end_orphans(self._folder.path):
            output.say(f"ended {ended} processes that an earlier stack had left behind")
        _check_listening(self._sizes.host, self._sizes.port)
        servers = self._servers()
        started = {server.variable for server in servers}
        check_outside(kind.variable for kind in KINDS if kind.variable not in started)
        environment = self._environment(servers)
        text = _env_text(environment)
        units: list[Unit] = [unit for server in servers for unit in server_units(server)]
        units += application_units(
            {**environment, MARK: str(self._folder.path)},
            replace(self._sizes, socket=str(self._folder.socket("web", self._sizes.port))),
            {server.name for server in servers},
        )
        with one_sentence("starting"):
            self._forget_pids()
            Supervisor(units, output, self._folder.run, lambda: self._on_ready(output, text)).run()
        output.say("stopped")

    def _servers(self) -> list[Server]:
        """Return the servers to start: those that the environment does not point elsewhere."""
        own = self._folder.secrets()
        # Whoever has sourced DATA_DIR/env names our own servers from outside.
        ours = {
            "DATABASE_URL": own["postgres_password"] in os.environ.get("DATABASE_URL", ""),
            "REDIS_URL": own["valkey_password"] in os.environ.get("REDIS_URL", ""),
            "S3_ENDPOINT_URL": own["s3_access_key_id"] == os.environ.get("S3_ACCESS_KEY_ID"),
        }
        return [
            kind(self._folder)
            for kind in KINDS
            if not os.environ.get(kind.variable) or ours[kind.variable]
        ]

    def _environment(self, servers: list[Server]) -> dict[str, str]:
        """Return the settings of every part: what was given, and what this stack adds."""
        given = {
            option.name: os.environ[option.name]
            for section in options.SECTIONS.values()
            for option in section
            if os.environ.get(option.name)
        }
        own = self._folder.secrets()
        environment = {
            "SECRET_KEY": own["SECRET_KEY"],
            "ARCHIVE_KEY": own["ARCHIVE_KEY"],
            "ALLOWED_HOSTS": _allowed_hosts(self._sizes.host),
            **LOCAL_DEFAULTS,
            **given,
            "HOST": self._sizes.host,
            "PORT": str(self._sizes.port),
            "DATA_DIR": str(self._folder.path),
            # nginx alone says who asks; whom it believes about that says PROXY_TRUSTED.
            "TRUSTED_PROXIES": "1",
            "DOWNLOADS_BY_PROXY": "true",
        }
        for server in servers:
            environment |= server.environment()
        return environment

    def _on_ready(self, output: Output, text: str) -> None:
        write_whole(self._folder.path / "env", text)
        host = _in_url(reachable(self._sizes.host))
        if "ARCHIVE_KEY" in self._folder.made and not os.environ.get("ARCHIVE_KEY"):
            output.say(
                f"The archive key is {self._folder.secrets()['ARCHIVE_KEY']}. Keep this elsewhere: "
                "a restore needs it and the bucket. manage.py archive_key --confirm notes that "
                "you did."
            )
        output.say(
            f"Strata is ready: http://{host}:{self._sizes.port}/ (pages /docs/ and /admin/, "
            f"data in {self._folder.path}, Ctrl-C stops it)"
        )

    def _forget_pids(self) -> None:
        for path in self._folder.run.glob("*.pid"):
            if path.stem != "supervisor":
                path.unlink(missing_ok=True)


def _sizes() -> Sizes:
    env = Env()
    try:
        return Sizes(
            host=options.HOST.read(env),
            port=options.PORT.read(env),
            web_workers=options.WEB_WORKERS.read(env),
            web_threads=options.WEB_THREADS.read(env),
            worker_concurrency=options.WORKER_CONCURRENCY.read(env),
            log_level=options.LOG_LEVEL.read(env).upper(),
        )
    except EnvError as error:
        raise StackError(f"A setting can't be read: {error} (see docs/settings.md)") from error


def _env_text(environment: dict[str, str]) -> str:
    try:
        return "".join(
            env_line(name, value) for name, value in environment.items() if name not in PRIVATE
        )
    except ValueError as error:
        raise StackError(f"{error}: choose another value.") from error


def _allowed_hosts(host: str) -> str:
    if host in {"0.0.0.0", "::"}:  # noqa: S104  # nosec B104 # compared with, not listened on
        # Whoever opens it to the network is reached by names that we can't know.
        return "*"
    names = ["localhost", "127.0.0.1", "[::1]", _in_url(host), socket.gethostname()]
    return ",".join(dict.fromkeys(names))


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _check_listening(host: str, port: int) -> None:
    """Refuse, in one sentence, an address that the web server could not listen on."""
    error = refusal(host, port)
    if error is None:
        return
    if error.errno == errno.EADDRINUSE:
        raise StackError(
            f"Port {port} on {host} is in use by another program: stop that one, or set PORT."
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        raise StackError(f"No permission to listen on port {port}: set PORT to one above 1023.")
    raise StackError(f"Can't listen on {host} port {port} ({error}): set HOST and PORT.")
