"""DATA_DIR: the one folder of everything that the local stack keeps."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import shutil
import socket
from collections.abc import Collection
from pathlib import Path
from random import SystemRandom

from config.stack.errors import StackError
from config.stack.process import one_sentence, write_whole

MEGABYTE = 1024 * 1024
# A fresh database takes about 40 MB and 16 to 80 MB of write-ahead log.
FREE_AT_FIRST = 400 * MEGABYTE
FREE_LATER = 150 * MEGABYTE
# Below the range that outgoing connections take theirs from, on Linux 32768 and up.
PORTS = range(20_000, 32_000)
LONGEST_SOCKET = 100
SECRETS = (
    "SECRET_KEY",
    "ARCHIVE_KEY",
    "postgres_password",
    "valkey_password",
    "s3_access_key_id",
    "s3_secret_access_key",
)


class DataFolder:
    """The folder, its lock, its secrets and its ports."""

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.realpath(path))
        self.run = self.path / "run"
        self.log = self.path / "log"
        self._lock: int | None = None
        # The secrets that this start has made.
        self.made: list[str] = []

    def open(self) -> None:
        """Make the folder, check that it can be worked in, and take it for ourselves."""
        with one_sentence("opening DATA_DIR"):
            fresh = not self.path.exists()
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if fresh and os.geteuid() == 0:
                # Passable for the user that PostgreSQL runs as, whatever our umask says.
                self.path.chmod(0o711)
            self._lock_it()
            self._check_space(FREE_AT_FIRST if fresh or not self._has_data() else FREE_LATER)
            for folder in (self.run, self.log):
                folder.mkdir(mode=0o700, exist_ok=True)
                # An earlier version left them open to others.
                folder.chmod(0o700)
            # Root may write anywhere, and a read-only disk says so only here.
            write_whole(self.run / "supervisor.pid", f"{os.getpid()}\n")

    def close(self) -> None:
        """Let another have the folder."""
        if self._lock is not None:
            (self.run / "supervisor.pid").unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def _has_data(self) -> bool:
        return (self.path / "postgres").exists()

    def _lock_it(self) -> None:
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 32).decode().strip()
            os.close(lock)
            raise StackError(
                f"Another stack (process {holder or 'unknown'}) already runs on {self.path}: "
                "stop that one, or set DATA_DIR and PORT to others."
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def _check_space(self, needed: int) -> None:
        free = shutil.disk_usage(self.path).free
        if free < needed:
            raise StackError(
                f"The disk of {self.path} is full: {free // MEGABYTE} MB are free, and at least "
                f"{needed // MEGABYTE} MB are needed."
            )

    def socket(self, name: str, port: int) -> Path:
        """Return where a part may put its socket; such a path is at most 107 bytes long."""
        path = self.run / f"{name}.sock"
        if len(bytes(path)) > LONGEST_SOCKET:
            return Path(f"/tmp/strata-{name}-{port}.sock")  # noqa: S108  # nosec B108 # its port is nobody else's
        return path

    def secrets(self) -> dict[str, str]:
        """Return this folder's passwords and keys, made at the first start and kept."""
        path = self.path / "secrets.json"
        known = _read_json(path)
        missing = [name for name in SECRETS if not known.get(name)]
        if missing:
            # Letters and digits only, so that none needs quoting in a URL or a shell.
            known |= {name: secrets.token_hex(32) for name in missing}
            self.made += missing
            with one_sentence("writing secrets.json"):
                write_whole(path, json.dumps(known, indent=1) + "\n")
        return {name: str(known[name]) for name in SECRETS}

    def ports(self, names: list[str]) -> dict[str, int]:
        """Return a free port for each name: the one it had, else another, remembered."""
        path = self.path / "ports.json"
        known = _read_json(path)
        chosen: dict[str, int] = {}
        for name in names:
            port = known.get(name)
            if not isinstance(port, int) or port in chosen.values() or refusal("127.0.0.1", port):
                port = some_free_port(taken=chosen.values())
            chosen[name] = port
        if {**known, **chosen} != known:
            with one_sentence("writing ports.json"):
                write_whole(path, json.dumps({**known, **chosen}, indent=1) + "\n")
        return chosen


def refusal(host: str, port: int) -> OSError | None:
    """Return why a server could not listen there now, or None."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections that linger after their end are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            return error
        except OverflowError:
            return OSError(errno.EINVAL, "a port is between 0 and 65535")
    return None


def some_free_port(taken: Collection[int] = ()) -> int:
    """Return a port of this machine that nobody listens on."""
    random = SystemRandom()
    for _ in range(1000):
        port = random.choice(PORTS)  # nosec B311 # SystemRandom, and no secret
        if port not in taken and refusal("127.0.0.1", port) is None:
            return port
    raise StackError(f"No port between {PORTS.start} and {PORTS.stop} is free on this machine.")


def _read_json(path: Path) -> dict[str, object]:
    """Return the file's object; a missing or broken file is an empty one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return value if isinstance(value, dict) else {}
