"""A whole stack as a process of its own, for tests and tools that must see it from outside.

with LiveStack(Path("/tmp/somewhere"), port=8123) as stack:
    httpx.post(f"{stack.base_url}/register", ...)
    stack.kill("web")
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from dotenv import dotenv_values

from config import options
from config.stack.errors import StackError
from config.stack.process import Process, Program, lives
from config.stack.server import clean_environment

READY = "Strata is ready:"


class LiveStack:
    """`python -m config.stack` on its own folder and port."""

    def __init__(
        self, data_dir: Path, port: int, settings: Mapping[str, str] | None = None
    ) -> None:
        self.data_dir = Path(os.path.realpath(data_dir))
        self.port = port
        self.base_url = f"http://127.0.0.1:{port}"
        self.output_file = self.data_dir.with_name(f"{self.data_dir.name}.output")
        self._settings = dict(settings or {})
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # The stack -----------------------------------------------------------------------------------

    def launch(self) -> None:
        """Start the supervisor without waiting until the stack serves."""
        known = {option.name for section in options.SECTIONS.values() for option in section}
        inherited = {
            name: value for name, value in clean_environment().items() if name not in known
        }
        program = Program(
            name="stack",
            command=[sys.executable, "-m", "config.stack"],
            folder=options.BASE_DIR,
            environment={
                **inherited,
                "DATA_DIR": str(self.data_dir),
                "PORT": str(self.port),
                "PYTHONUNBUFFERED": "1",
                **self._settings,
            },
            grace=12.0,
        )
        log = os.open(self.output_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self._process = Process(program, output=log)
        finally:
            os.close(log)

    def start(self, seconds: float = 60.0) -> None:
        """Start it and return once it says that it is ready."""
        self.launch()
        deadline = time.monotonic() + seconds
        while READY not in self.output():
            if self.status() is not None or time.monotonic() > deadline:
                text = self.output()
                self.stop()
                raise StackError(f"The stack did not get ready:\n{text}")
            time.sleep(0.05)

    def stop(self) -> int | None:
        """Stop it as Ctrl-C would; return its exit status, None if it was not running."""
        if self._process is None:
            return None
        process, self._process = self._process, None
        process.ask_to_stop()
        deadline = time.monotonic() + process.program.grace
        while process.status() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        status = process.status()
        process.kill()
        return status

    def status(self) -> int | None:
        """Return the supervisor's exit status, None while it runs."""
        return self._process.status() if self._process else None

    def output(self) -> str:
        """Return what it has written so far."""
        return self.output_file.read_text(encoding="utf-8") if self.output_file.exists() else ""

    def environment(self) -> dict[str, str]:
        """Return what `DATA_DIR/env` says, which is how anything else finds its servers."""
        values = dotenv_values(self.data_dir / "env", interpolate=False)
        return {name: value for name, value in values.items() if value is not None}

    # Its parts: supervisor, postgres, valkey, s3, proxy, web, worker, beat ---------------------

    def pid(self, name: str) -> int:
        """Return the process id of a part, waiting a moment for one that is being restarted."""
        file = self.data_dir / "run" / f"{name}.pid"
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
                pid = int(file.read_text(encoding="ascii"))
                if lives(psutil.Process(pid)):
                    return pid
            if time.monotonic() > deadline:
                raise StackError(f"The stack has no {name}.")
            time.sleep(0.02)

    def family(self, name: str) -> list[psutil.Process]:
        """Return a part's process and those that descend from it."""
        with contextlib.suppress(psutil.NoSuchProcess):
            leader = psutil.Process(self.pid(name))
            return [leader, *leader.children(recursive=True)]
        return []

    def workers(self) -> list[psutil.Process]:
        """Return the processes that answer requests, without what runs beside them."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid("web")).children()
        return []

    def kill(self, name: str) -> None:
        """Kill a part's main process, as `kill -9` would."""
        os.kill(self.pid(name), signal.SIGKILL)

    def kill_all(self, name: str) -> None:
        """Kill a part's main process and all that descend from it."""
        for member in self.family(name):
            with contextlib.suppress(psutil.Error):
                member.kill()

    def pause(self, name: str) -> None:
        """Freeze a part, with all its processes."""
        for member in self.family(name):
            member.suspend()

    def resume(self, name: str) -> None:
        """Let a part go on."""
        for member in reversed(self.family(name)):
            member.resume()

    def processes(self) -> list[psutil.Process]:
        """Return every living process of the stack, the supervisor included."""
        return [member for member in self.family("supervisor") if lives(member)]
