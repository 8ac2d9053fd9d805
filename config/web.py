"""The web server of every place: granian with our sizes, which ends without losing a request.

On a Unix socket, several of these behind one proxy can be restarted one after the other under load:
one that is to end first removes its socket, so that the proxy's next requests go to the others,
answers what has come in, and only then lets its workers go. Django is not imported here: each
worker loads it anew, so a reload (SIGHUP) takes new settings and code.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import sys
import time
from pathlib import Path
from typing import Any

from environs import Env, EnvError
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from common import logs
from config import options

# A worker that has not begun to serve by then is not waited for before the next one is replaced.
RESPAWN_SECONDS = 1.0
# A request's line and headers; a longer head is a 431.
HEAD_MAX_BYTES = 80 * 1024


class WebServer(MPServer):
    """Granian, which stops taking before it stops answering."""

    drain_seconds = 0.0
    reader_seconds = 0

    def _init_shared_socket(self) -> None:
        """Listen so that the kernel cuts a connection whose reader takes nothing for long.

        Connections inherit that from the socket that took them, so the workers share one.
        """
        super()._init_shared_socket()  # type: ignore[no-untyped-call]
        if self.bind_uds is not None or not self.reader_seconds or sys.platform != "linux":
            return
        specification: Any = self._ssp
        listener = specification.build()
        self._shd, self._sfd = listener, listener.get_fd()
        self._ssp = None
        self._sso = socket.socket(fileno=self._sfd)
        self._sso.set_inheritable(True)
        millis = self.reader_seconds * 1000
        self._sso.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, millis)

    def shutdown(self, exit_code: int = 0) -> None:
        """Have new requests go elsewhere, wait for those on their way here, then stop."""
        if self.bind_uds is not None:
            # Whoever has connected is served all the same: the workers go on listening.
            self.bind_uds.unlink(missing_ok=True)
        # Signals that come meanwhile only set the flag that has brought us here.
        time.sleep(self.drain_seconds)
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]


def make_server(env: Env) -> WebServer:
    """Return the server that the environment asks for; raise `EnvError`."""
    path = options.WEB_SOCKET.read(env)
    arguments: dict[str, Any] = {
        "interface": Interfaces.WSGI,
        "http": HTTPModes.http1,
        "websockets": False,
        "workers": options.WEB_WORKERS.read(env),
        "blocking_threads": options.WEB_THREADS.read(env),
        # Threads keep their database connection, so they are not given up for a quiet minute.
        "blocking_threads_idle_timeout": 600,
        "backlog": 1024,
        "respawn_failed_workers": True,
        "respawn_interval": RESPAWN_SECONDS,
        "workers_kill_timeout": options.WEB_GRACE_SECONDS.read(env),
        "log_level": LogLevels.warning,
        "log_dictconfig": logs.granian_config(options.LOG_FORMAT.read(env)),
        "http1_settings": HTTP1Settings(max_buffer_size=HEAD_MAX_BYTES),
    }
    if path:
        arguments |= {"uds": Path(path), "uds_permissions": 0o660}
    else:
        arguments |= {"address": options.HOST.read(env), "port": options.PORT.read(env)}
    server = WebServer("config.wsgi:application", **arguments)
    server.drain_seconds = options.WEB_DRAIN_SECONDS.read(env)
    server.reader_seconds = options.WEB_READER_SECONDS.read(env)
    return server


def clear_socket(path: Path) -> None:
    """Remove the socket of a server that is gone; exit when one listens there."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            sys.exit(f"WEB_SOCKET names {path}, which is no socket: remove it, or name another.")
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
            else:
                sys.exit(f"Another web server already listens on {path}: stop it first.")


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    # Granian loads the application by its name, in each worker.
    os.chdir(options.BASE_DIR)
    try:
        server = make_server(Env())
    except EnvError as error:
        sys.exit(f"A setting can't be read: {error} (see docs/settings.md)")
    if server.bind_uds is not None:
        clear_socket(server.bind_uds)
    server.serve()


if __name__ == "__main__":
    main()
