"""What the three servers have in common: prepared, started, asked whether they serve, stopped."""

from __future__ import annotations

import abc
import os
import time
from pathlib import Path

from config.stack.errors import StackError
from config.stack.folder import DataFolder
from config.stack.process import Process, Program, run_to_end


class Server(abc.ABC):
    """One server of the local stack, by itself a handle for tests and tools."""

    name: str
    title: str
    # The variable that points every part of Strata at it; given from outside, none is started.
    variable: str
    # The names under which its ports are remembered, its own first.
    port_names: tuple[str, ...]
    # The name of what must have run to its end before the very first start.
    setup_name = ""
    start_seconds = 60.0

    def __init__(self, folder: DataFolder) -> None:
        self.folder = folder
        self.data = folder.path / self.name
        self.secrets = folder.secrets()
        self.ports = folder.ports(list(self.port_names))
        self.process: Process | None = None

    @property
    def port(self) -> int:
        """Where clients reach it, on 127.0.0.1."""
        return self.ports[self.port_names[0]]

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        return self._running().pid

    @property
    def running(self) -> bool:
        """Whether its process lives, paused or not."""
        return self.process is not None and self.process.status() is None

    @abc.abstractmethod
    def environment(self) -> dict[str, str]:
        """Return the variables by which clients find it."""

    @abc.abstractmethod
    def program(self) -> Program:
        """Return the server's program, its folders and configuration written."""

    @abc.abstractmethod
    def probe(self) -> None:
        """Use it as a client would, complete what a first start needs; raise if it can't."""

    def setup(self) -> Program | None:
        """Return the program of the setup, None where it is done or not needed."""
        return None

    def finish_setup(self) -> None:  # noqa: B027 - most have none
        """Take over what `setup` made."""

    def tidy(self) -> None:  # noqa: B027 - not all leave something
        """Remove what an earlier process that was killed has left in the way of the next."""

    # The handle ----------------------------------------------------------------------------------

    def launch(self) -> None:
        """Start the server without waiting until it serves."""
        self.folder.log.mkdir(mode=0o700, exist_ok=True)
        log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if (setup := self.setup()) is not None:
                if run_to_end(setup, log) != 0:
                    raise StackError(f"{self.title} could not be set up: see {self.log_file}.")
                self.finish_setup()
            self.tidy()
            self.process = Process(
                self.program(), output=log, pid_file=self.folder.run / f"{self.name}.pid"
            )
        finally:
            os.close(log)

    def wait(self, seconds: float | None = None) -> None:
        """Return once it serves; raise if it ends or does not serve in time."""
        deadline = time.monotonic() + (seconds or self.start_seconds)
        while True:
            try:
                self.probe()
            except Exception as error:  # whatever its client raises while it comes up
                if not self.running or time.monotonic() > deadline:
                    raise StackError(
                        f"{self.title} does not serve ({error}): see {self.log_file}."
                    ) from error
                time.sleep(0.05)
            else:
                return

    def start(self) -> None:
        """Start it and return once it serves."""
        self.launch()
        self.wait()

    def stop(self) -> None:
        """Stop it in its own orderly way, the hard way if that takes too long."""
        if self.process is not None:
            self.process.stop()
            self.process = None

    def kill(self) -> None:
        """Kill it and all its processes, as `kill -9` would."""
        self._running().kill()
        self.process = None

    def pause(self) -> None:
        """Freeze it: connections stay open, answers stay away."""
        self._running().pause()

    def resume(self) -> None:
        """Let it go on after a pause."""
        self._running().resume()

    @property
    def log_file(self) -> Path:
        """Where it writes while no supervisor reads it."""
        return self.folder.log / f"{self.name}.log"

    def _running(self) -> Process:
        if self.process is None:
            raise StackError(f"{self.title} is not running.")
        return self.process


def clean_environment() -> dict[str, str]:
    """Return our environment less what would reconfigure a server or its client behind our back."""
    foreign = ("PG", "GRANIAN_", "WEED_", "CELERY_", "PYTHON")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
