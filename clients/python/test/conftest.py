"""A real server, users on it, and a network that cuts answers off."""

import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit

import psycopg
import pytest

from config.options import BASE_DIR
from config.stack.live import LiveStack
from strata_client import Client, Store


@pytest.fixture
def url(live_stack: LiveStack) -> str:
    return live_stack.base_url


Comer = Callable[..., Client]


@pytest.fixture
def somebody(url: str) -> Iterator[Comer]:
    """Register a user of a new name, and return their client."""
    clients: list[Client] = []

    def come(name: str = "u", *, store: Store | None = None) -> Client:
        client = Client(url, store=store, patience=30)
        clients.append(client)
        client.register(f"{name}-{secrets.token_hex(6)}", display_name=name.capitalize())
        return client

    yield come
    for client in clients:
        client.close()


@contextmanager
def cut_off(url: str, answers: int) -> Iterator[str]:
    """Yield an address whose first so many answers never come back, though requests arrive."""
    place = urlsplit(url)
    listener = socket.create_server(("127.0.0.1", 0))
    left = [answers]

    def serve() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=pass_on, args=(near,), daemon=True).start()

    def pass_on(near: socket.socket) -> None:
        far = socket.create_connection((place.hostname, place.port))
        with closing(near), closing(far):
            threading.Thread(target=upstream, args=(near, far), daemon=True).start()
            while data := far.recv(65536):
                if left[0] > 0:
                    left[0] -= 1
                    # Closing alone tells nobody while the other thread still reads from it.
                    near.shutdown(socket.SHUT_RDWR)
                    return
                near.sendall(data)

    def upstream(near: socket.socket, far: socket.socket) -> None:
        try:
            while data := near.recv(65536):
                far.sendall(data)
        except OSError:
            return

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "client.db"


@pytest.fixture
def manage(live_stack: LiveStack) -> Callable[..., str]:
    """Run a manage.py command on the server's data."""

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, BASE_DIR / "manage.py", *arguments],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
            env={"PATH": os.environ["PATH"], "DATA_DIR": str(live_stack.data_dir)},
        )
        return done.stdout

    return run


@pytest.fixture
def database(live_stack: LiveStack) -> Callable[[str], None]:
    """Run a statement on the server's database."""

    def run(statement: LiteralString) -> None:
        with psycopg.connect(live_stack.environment()["DATABASE_URL"]) as connection:
            connection.execute(statement)

    return run
