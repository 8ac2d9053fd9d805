"""Programs, and the processes they become: started tied to us, stopped with all they started."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from config.stack.errors import StackError

LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True, slots=True)
class Account:
    """Another user of this machine, to run a program as."""

    name: str
    uid: int
    gid: int
    # Keeps CAP_DAC_OVERRIDE, to pass through folders that only root may enter.
    override: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and how to end it."""

    name: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    # Also what it gets when we die without a word.
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 3.0
    account: Account | None = None


class Process:
    """A program that runs, leader of a session of its own."""

    def __init__(self, program: Program, *, output: int, pid_file: Path | None = None) -> None:
        self.program = program
        self._pid_file = pid_file
        account = program.account
        self._popen = subprocess.Popen(  # the with-statement would wait for it
            [
                sys.executable,
                "-I",
                "-S",
                str(LAUNCHER),
                str(int(program.stop_signal)),
                str(os.getpid()),
                f"{account.uid}:{account.gid}" if account else "-",
                "1" if account and account.override else "0",
                *program.command,
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=program.folder,
            env=dict(program.environment),
            # Ctrl-C reaches us alone, and the whole group can be ended at once.
            start_new_session=True,
            # What it makes, sockets too, is ours alone.
            umask=0o077,
        )
        self.pid = self._popen.pid
        self.started = time.monotonic()
        if pid_file is not None:
            try:
                write_whole(pid_file, f"{self.pid}\n")
            except OSError:
                # A full disk, say; nobody would know of the process.
                self.kill()
                raise

    def status(self) -> int | None:
        """Return the exit status, negative for a signal, or None while it runs."""
        return self._popen.poll()

    def family(self) -> list[psutil.Process]:
        """Return the process and all that descend from it, as far as they live."""
        try:
            leader = psutil.Process(self.pid)
            return [leader, *leader.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def ask_to_stop(self) -> None:
        """Send the program's own stop signal, and wake it should it be paused."""
        self._signal(self.program.stop_signal)
        for member in self.family():
            with contextlib.suppress(psutil.Error):
                member.resume()

    def kill(self) -> None:
        """End it and all that it started, at once, and forget its pid file."""
        family = self.family()
        # The group outlives its leader: orphaned workers are still found by it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        for member in family:
            with contextlib.suppress(psutil.Error):
                member.kill()
        self._popen.wait()
        wait_for_ends(family)
        if self._pid_file is not None:
            self._pid_file.unlink(missing_ok=True)

    def stop(self) -> None:
        """Ask it to stop, kill what is left after its grace."""
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(self.program.grace)
        self.kill()

    def pause(self) -> None:
        """Freeze it and all that it started, as a machine that hangs would."""
        for member in self.family():
            member.suspend()

    def resume(self) -> None:
        """Let it go on."""
        for member in reversed(self.family()):
            member.resume()

    def _signal(self, number: signal.Signals) -> None:
        if self.status() is None:
            self._popen.send_signal(number)


def lives(process: psutil.Process) -> bool:
    """Say whether any of it runs.

    A zombie does not, and in some containers nobody ever collects it; but its main thread may be
    one already while others still hold its ports and files.
    """
    try:
        if not process.is_running():
            return False
        return process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1
    except psutil.NoSuchProcess:
        return False


def wait_for_ends(processes: Sequence[psutil.Process], seconds: float = 3.0) -> None:
    """Return once all of them have ended, or the time is up."""
    deadline = time.monotonic() + seconds
    while any(map(lives, processes)) and time.monotonic() < deadline:
        time.sleep(0.01)


def run_to_end(program: Program, output: int) -> int:
    """Run a program that ends by itself; return its exit status."""
    process = Process(program, output=output)
    try:
        while (status := process.status()) is None:
            time.sleep(0.02)
    finally:
        process.kill()
    return status


def write_whole(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file so that a reader, or the next start, sees all of it or the one before."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


@contextlib.contextmanager
def one_sentence(doing: str) -> Iterator[None]:
    """Turn what the operating system refuses into a sentence that says what to do."""
    try:
        yield
    except OSError as error:
        where = error.filename or "a file"
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise StackError(
                f"No permission to write {where} while {doing}: give this user the folder, "
                "or set DATA_DIR to one that it may write to."
            ) from error
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StackError(
                f"The disk of {where} is full, found out while {doing}: free some space, "
                "or set DATA_DIR to a folder of another disk."
            ) from error
        raise StackError(f"{error.strerror or error}: {where}, while {doing}.") from error
