"""An nginx of a test's own, on the template of every place, with whatever settings the test gives."""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

from config.options import BASE_DIR
from config.proxy import wheel
from config.stack.folder import some_free_port
from config.stack.process import Process, Program


class Nginx:
    """Runs until the end of its block."""

    def __init__(self, folder: Path, webs: list[Path], **settings: str) -> None:
        self.port = some_free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "nginx.log"
        self._program = Program(
            "proxy",
            [sys.executable, "-m", "config.process", "proxy"],
            folder=BASE_DIR,
            environment={
                "PATH": os.environ["PATH"],
                "PORT": str(self.port),
                "PROXY_WEBS": ",".join(map(str, webs)),
                "PROXY_FOLDER": str(folder / "proxy"),
                "PROXY_PROGRAM": str(wheel()),
                **settings,
            },
        )
        self._process: Process | None = None

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self._process = Process(self._program, output=log.fileno())
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            except OSError:
                assert self._process.status() is None, self.log.read_text()
                assert time.monotonic() < deadline, "nginx does not listen"
                time.sleep(0.02)
            else:
                return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.kill()

    def clients(self) -> set[int]:
        """Return the ports that its clients have on their side."""
        assert self._process is not None
        return {
            connection.raddr.port
            for process in self._process.family()
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_ESTABLISHED
        }

    def client(self, **options: object) -> httpx.Client:
        """Return a client of it."""
        defaults: dict[str, object] = {"timeout": 30.0, "trust_env": False}
        return httpx.Client(base_url=self.base_url, **(defaults | options))  # type: ignore[arg-type]


class SomeWeb:
    """A server on a Unix socket that keeps what it is sent, and does with each what the test says."""

    def __init__(self, path: Path, then: Callable[[socket.socket], None]) -> None:
        self.path = path
        self.got: list[bytes] = []
        self._then = then
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(64)
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.got.append(whole_request(connection))
            self._then(connection)


def whole_request(connection: socket.socket) -> bytes:
    """Return a request up to its end: who closes with a part unread takes the answer back."""
    got = connection.recv(65536)
    while b"\r\n\r\n" not in got and (more := connection.recv(65536)):
        got += more
    head, _, body = got.partition(b"\r\n\r\n")
    found = re.search(rb"(?i)^content-length: *(\d+)", head, re.MULTILINE)
    while len(body) < int(found[1] if found else 0) and (more := connection.recv(65536)):
        got, body = got + more, body + more
    return got
