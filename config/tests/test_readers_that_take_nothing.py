"""A reader that takes nothing of its answer loses its connection; everybody else goes on."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from config.stack.folder import some_free_port

ROOT = Path(__file__).resolve().parents[2]
READERS = 20
LARGE = b"GET /schema/ HTTP/1.1\r\nHost: localhost\r\n\r\n"


def ask(port: int, request: bytes) -> socket.socket:
    """Send a request on a connection that has room for a few KiB."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", port))
    connection.sendall(request)
    return connection


def held(port: int) -> int:
    """Return how many connections the server's side still has."""
    return sum(
        found.laddr.port == port and found.status == psutil.CONN_ESTABLISHED
        for found in psutil.net_connections("tcp")
        if found.laddr
    )


@pytest.mark.skipif(sys.platform != "linux", reason="The kernel's own time-out is Linux's.")
def test_they_are_cut_after_the_time_and_others_are_answered_meanwhile(servers):
    port = some_free_port()
    environment = {
        **os.environ,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WEB_SOCKET": "",
        "WEB_WORKERS": "1",
        "WEB_READER_SECONDS": "2",
    }
    server = subprocess.Popen([sys.executable, "-m", "config.web"], cwd=ROOT, env=environment)
    try:
        deadline = time.monotonic() + 60
        while held(port) == 0:
            assert time.monotonic() < deadline
            try:
                first = ask(port, LARGE)
            except ConnectionRefusedError:
                time.sleep(0.1)
        readers = [first, *(ask(port, LARGE) for _ in range(READERS - 1))]
        with ask(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") as other:
            assert other.recv(15) == b"HTTP/1.1 200 OK"
        deadline = time.monotonic() + 60
        while held(port):
            assert time.monotonic() < deadline, f"{held(port)} connections are still open"
            time.sleep(0.1)
        for reader in readers:
            reader.close()
    finally:
        server.terminate()
        server.wait(30)
