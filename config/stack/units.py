"""What the stack is made of, and in which order it comes up."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from config.options import BASE_DIR
from config.stack.errors import StackError
from config.stack.process import Program
from config.stack.server import Server, clean_environment


@dataclass(frozen=True, slots=True)
class Unit:
    """One process of the stack."""

    name: str
    title: str
    # Called at each start, as what it needs (ports, folders) is only sure then.
    program: Callable[[], Program | None]
    # The units that must serve, or have ended well, before this one starts.
    needs: tuple[str, ...] = ()
    # Runs to its end, which is when it is ready.
    once: bool = False
    # Raises until the process serves; without one, running is serving.
    probe: Callable[[], None] | None = None
    before: Callable[[], None] | None = None
    after: Callable[[], None] | None = None
    # Stopped after all others.
    server: bool = False
    start_seconds: float = 60.0


def server_units(server: Server) -> list[Unit]:
    """Return the units of a server: its setup, where it has one, and itself."""
    units = []
    if server.setup_name:
        units.append(
            Unit(
                name=server.setup_name,
                title=f"The setup of {server.title}",
                program=server.setup,
                after=server.finish_setup,
                once=True,
                server=True,
            )
        )
    units.append(
        Unit(
            name=server.name,
            title=server.title,
            program=server.program,
            needs=(server.setup_name,) if server.setup_name else (),
            probe=server.probe,
            before=server.tidy,
            server=True,
            start_seconds=server.start_seconds,
        )
    )
    return units


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many processes and threads, and where the web server listens."""

    host: str
    port: int
    web_workers: int
    web_threads: int
    worker_concurrency: int
    log_level: str


def application_units(
    environment: Mapping[str, str], sizes: Sizes, servers: Collection[str]
) -> list[Unit]:
    """Return the units of our own code, which start once the servers that we started serve."""
    everything = {
        **clean_environment(),
        **environment,
        "PYTHONUNBUFFERED": "1",
        # Threads would each take arenas of the C library, which only ever grow.
        "MALLOC_ARENA_MAX": "2",
        # Has setproctitle, where it is installed, leave the environment that orphans are known by.
        "SPT_NOENV": "1",
    }

    def unit(
        name: str, title: str, *arguments: str, needs: Iterable[str] = ("migrate", "valkey")
    ) -> Unit:
        command = [sys.executable, *arguments]
        program = Program(name, command, folder=BASE_DIR, environment=everything)
        present = tuple(need for need in needs if need == "migrate" or need in servers)
        return Unit(name, title, lambda: program, needs=present)

    quiet = ("-W", "ignore:You're running the worker with superuser", "-m", "celery", "--quiet")
    level = f"--loglevel={sizes.log_level}"
    migrate = unit("migrate", "The migration", "manage.py", "migrate", needs=("postgres",))
    web = unit("web", "The web server", *_web(sizes))
    worker = unit(
        "worker",
        "The worker",
        *(*quiet, "--app=config", "worker", level, f"--concurrency={sizes.worker_concurrency}"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    )
    beat = unit("beat", "The scheduler", *(*quiet, "--app=config", "beat", level, "--pidfile="))
    units = [
        replace(migrate, once=True),
        replace(web, probe=lambda: probe_web(sizes.host, sizes.port)),
        worker,
        beat,
    ]
    if any(BASE_DIR.glob("*/management/commands/sweep.py")):
        units.append(unit("sweeper", "The sweeper", "manage.py", "sweep"))
    return units


def _web(sizes: Sizes) -> list[str]:
    options = {
        "interface": "wsgi",
        "http": "1",
        "host": sizes.host,
        "port": sizes.port,
        "workers": sizes.web_workers,
        "blocking-threads": sizes.web_threads,
        # Threads keep their database connection, so they are not given up for a quiet minute.
        "blocking-threads-idle-timeout": 600,
        "backlog": 1024,
        "respawn-interval": 1,
        "workers-kill-timeout": 2,
        "log-level": "warning",
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    return [
        *("-m", "granian", "--respawn-failed-workers", "--no-ws", "--http1-keep-alive"),
        *flags,
        "config.wsgi:application",
    ]


def reachable(host: str) -> str:
    """Return where on this machine a server that listens on this host is reached."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def probe_web(host: str, port: int) -> None:
    """Ask the web server whether it lives; any answer short of an error of its own will do."""
    connection = http.client.HTTPConnection(reachable(host), port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    finally:
        connection.close()
    if status >= 500:  # noqa: PLR2004
        raise StackError(f"it answers {status}")
