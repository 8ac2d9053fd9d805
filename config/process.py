"""`python -m config.process NAME`: become one of the service's processes.

The one way in which containers, systemd's units and the tests start them:

    proxy      nginx in front of the web servers (ops/nginx.conf), at HOST and PORT or PROXY_LISTEN
    web        the web server, on WEB_SOCKET or HOST and PORT
    worker     the queue's worker, with WORKER_CONCURRENCY processes
    beat       the schedule; one of it
    sweeper    keeps the cache true to the database
    migrate    brings the database's schema up to this version, and ends
    bucket     makes the archive's bucket unless it is there, and ends
    manage …   any of Django's commands
    healthy NAME   ask whether that one, here, works: exit status 0 or 1

Signals go to the process itself: SIGTERM stops each in its own orderly way.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

from environs import Env, EnvError

from config import options

PATIENCE_SECONDS = 5
# A sweeper that has not spoken for so long hangs; INDEX_BELIEF_MS is what its word is good for.
SWEEPER_SILENCE_SECONDS = 60
NICENESS = 10
_CELERY = ("-W", "ignore:You're running the worker with superuser", "-m", "celery", "--quiet")


def command(name: str, arguments: list[str], env: Env) -> list[str]:
    """Return what a process is started with, after the interpreter; raise `EnvError`."""
    level = f"--loglevel={options.LOG_LEVEL.read(env).upper()}"
    if name in ("proxy", "web"):
        return ["-m", f"config.{name}"]
    if name == "worker":
        return [
            *(*_CELERY, "--app=config", "worker", level),
            f"--concurrency={options.WORKER_CONCURRENCY.read(env)}",
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]
    if name == "beat":
        return [*_CELERY, "--app=config", "beat", level, "--pidfile="]
    if name == "sweeper":
        return ["manage.py", "sweep"]
    if name == "migrate":
        return ["manage.py", "migrate", "--no-input"]
    if name == "bucket":
        return ["-m", "config.bucket"]
    return ["manage.py", *arguments]


NAMES = ("proxy", "web", "worker", "beat", "sweeper", "migrate", "bucket", "manage")


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def web_is_healthy(env: Env) -> bool:
    """Ask the web server of this place whether it lives."""
    path, host = options.WEB_SOCKET.read(env), options.HOST.read(env)
    connection: http.client.HTTPConnection
    if path:
        connection = UnixConnection(Path(path))
    else:
        near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # nosec B104 # compared with, not listened on
        connection = http.client.HTTPConnection(
            near, options.PORT.read(env), timeout=PATIENCE_SECONDS
        )
    names = options.ALLOWED_HOSTS.read(env)
    try:
        connection.request("GET", "/healthz", headers={"Host": _host(names)})
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _host(names: list[str]) -> str:
    """Return a host name that the server answers to."""
    first = names[0] if names else "localhost"
    return "localhost" if first == "*" else first.removeprefix(".")


def worker_is_healthy() -> bool:
    """Have the worker of this machine answer over the queue."""
    from config.celery import app  # noqa: PLC0415 - loads Django

    name = f"celery@{socket.gethostname()}"
    return bool(app.control.inspect([name], timeout=PATIENCE_SECONDS).ping())


def sweeper_is_healthy() -> bool:
    """See whether a sweeper has spoken of late, or could not since the cache is away."""
    import django  # noqa: PLC0415

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from common.cache import CacheUnavailable  # noqa: PLC0415 - needs the settings
    from config.health import ask_cache  # noqa: PLC0415

    try:
        return ask_cache().get("sweeper_age", 0.0) < SWEEPER_SILENCE_SECONDS
    except CacheUnavailable:
        # Another sweeper would not do better.
        return True


def is_healthy(name: str, env: Env) -> bool:
    """Say whether the process of this name works here; beat has nothing to be asked."""
    if name == "web":
        return web_is_healthy(env)
    if name == "worker":
        return worker_is_healthy()
    return sweeper_is_healthy() if name == "sweeper" else True


def stand_back() -> None:
    """Let those that answer requests go first on this machine's cores.

    Linux shares a core between sessions before it looks at what is in each, so a session of our own
    stands back as a whole; where it is somebody's terminal, this process alone does.
    """
    os.nice(NICENESS)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(NICENESS), encoding="ascii")


def become(name: str, started: list[str]) -> NoReturn:
    """Become this process."""
    if name == "worker":
        stand_back()
        # An orderly stop that ends: what is not done by WORKER_DRAIN_SECONDS is handed back to the
        # queue. Without it the worker waits for its tasks, is killed, and they lie for an hour.
        os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")
    # The same interpreter; nothing here goes through a shell.
    os.execv(sys.executable, [sys.executable, *started])  # noqa: S606


def main(arguments: list[str]) -> int:
    """Do what the arguments say; return an exit status, if at all."""
    name, *rest = arguments or [""]
    os.chdir(options.BASE_DIR)
    try:
        if name == "healthy" and len(rest) == 1 and rest[0] in NAMES:
            return 0 if is_healthy(rest[0], Env()) else 1
        if name not in NAMES or (rest and name != "manage"):
            sys.stderr.write(f"usage: {(__doc__ or '').strip()}\n")
            return 2
        started = command(name, rest, Env())
    except EnvError as error:
        sys.stderr.write(f"A setting can't be read: {error} (see docs/settings.md)\n")
        return 1
    become(name, started)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
