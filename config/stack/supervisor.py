"""Keeps the stack's processes running: in order, restarted when they die, stopped together.

One thread does it all. The kernel ties a child's life to the thread that started it, and a
process without other threads may fork without care.
"""

from __future__ import annotations

import collections
import contextlib
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import FrameType

from config.stack.errors import StackError
from config.stack.launch import PR_SET_CHILD_SUBREAPER, prctl
from config.stack.output import Lines, Output
from config.stack.process import Process
from config.stack.units import Unit

BACKOFF = (0.1, 0.3, 1.0, 2.0, 4.0)
# A process that lived this long starts its next life without a wait.
HEALTHY_SECONDS = 20.0
# One that can't be asked is taken to serve when it has lived through its imports.
SETTLED_SECONDS = 2.0
# How often one that has never served may die before the whole start is given up.
TRIES = 3
PROBE_EVERY = 0.1
# One Ctrl-C may reach us twice, from the terminal and from whoever started us.
SAME_REQUEST_SECONDS = 0.5
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class State(Enum):
    """Where a unit stands."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    DONE = "done"


@dataclass
class Slot:
    """A unit and its present life."""

    unit: Unit
    state: State = State.WAITING
    process: Process | None = None
    lines: Lines | None = None
    has_served: bool = False
    deaths: int = 0
    not_before: float = 0.0
    next_probe: float = 0.0
    problem: str = ""
    tail: collections.deque[str] = field(default_factory=lambda: collections.deque(maxlen=3))

    @property
    def settled(self) -> bool:
        """Whether others may rely on it."""
        return self.state in {State.READY, State.DONE}


class Supervisor:
    """Runs the units until a signal ends it."""

    def __init__(
        self, units: Sequence[Unit], output: Output, run_folder: Path, on_ready: Callable[[], None]
    ) -> None:
        self._slots = {unit.name: Slot(unit) for unit in units}
        self._output = output
        self._run_folder = run_folder
        self._on_ready = on_ready
        self._is_ready = False
        self._stop_asked: float | None = None
        self._in_haste = False
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = socket.socketpair()

    def run(self) -> None:
        """Start everything, keep it running, and return once all of it is stopped."""
        self._listen_to_signals()
        if sys.platform == "linux":
            # What our children leave behind becomes ours to collect, not that of a process 1
            # which in a container may not care.
            prctl(PR_SET_CHILD_SUBREAPER, 1)
        try:
            while self._stop_asked is None and not self._output.broken:
                self._advance()
                self._collect_strangers()
                settled = all(slot.settled for slot in self._slots.values())
                self._listen(1.0 if settled else 0.05)
        finally:
            self._stop_all()

    # Starting ------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Take every unit one step further, where it can be."""
        now = time.monotonic()
        for slot in self._slots.values():
            if slot.process is not None and slot.process.status() is not None:
                self._on_end(slot)
            elif slot.state is State.STARTING and now >= slot.next_probe:
                self._probe(slot)
            elif slot.state is State.WAITING and now >= slot.not_before and self._may_start(slot):
                self._try_to_start(slot)
        if not self._is_ready and all(slot.settled for slot in self._slots.values()):
            self._is_ready = True
            self._on_ready()

    def _may_start(self, slot: Slot) -> bool:
        # A restart waits for nobody: what it needs may be down too, and it copes with that.
        return slot.has_served or all(self._slots[name].settled for name in slot.unit.needs)

    def _try_to_start(self, slot: Slot) -> None:
        try:
            self._start(slot)
        except (OSError, StackError) as error:
            if not slot.has_served:
                raise
            # A full disk, say: what still serves goes on serving.
            slot.deaths += 1
            self._start_again(slot, f"can't be started ({error})")

    def _start(self, slot: Slot) -> None:
        if slot.unit.before is not None:
            slot.unit.before()
        program = slot.unit.program()
        if program is None:
            slot.state = State.DONE
            return
        reader, writer = os.pipe()
        try:
            slot.process = Process(
                program, output=writer, pid_file=self._run_folder / f"{slot.unit.name}.pid"
            )
        finally:
            os.close(writer)
        slot.lines = Lines(reader)
        self._selector.register(reader, selectors.EVENT_READ, slot)
        slot.state = State.STARTING
        slot.next_probe = time.monotonic() + PROBE_EVERY

    def _probe(self, slot: Slot) -> None:
        """See whether a process that was started serves by now."""
        if slot.unit.once or slot.process is None:
            return
        lived = time.monotonic() - slot.process.started
        if slot.unit.probe is None and lived < SETTLED_SECONDS:
            return
        try:
            if slot.unit.probe is not None:
                slot.unit.probe()
        except Exception as error:
            slot.problem = str(error).strip() or type(error).__name__
            slot.next_probe = time.monotonic() + PROBE_EVERY
            if not slot.has_served and lived > slot.unit.start_seconds:
                raise StackError(f"{slot.unit.title} does not serve: {slot.problem}.") from error
            return
        if slot.has_served:
            self._output.say(f"{slot.unit.name} serves again")
        slot.has_served = True
        slot.state = State.READY

    # Ends ----------------------------------------------------------------------------------------

    def _on_end(self, slot: Slot) -> None:
        """Clear up after a process that has ended, and see to what follows."""
        process = slot.process
        if process is None:
            return
        status = process.status()
        lived = time.monotonic() - process.started
        # Before its pipe is read to the end: whoever is left of its group would hold that open.
        process.kill()
        self._read(slot)
        self._forget_lines(slot)
        slot.process = None
        if slot.unit.once and status == 0:
            if slot.unit.after is not None:
                slot.unit.after()
            slot.state = State.DONE
            return
        slot.deaths = 1 if lived > HEALTHY_SECONDS else slot.deaths + 1
        if not slot.has_served and (slot.unit.once or slot.deaths >= TRIES):
            last = f" Its last line: {slot.tail[-1]}" if slot.tail else ""
            raise StackError(f"{slot.unit.title} failed ({_describe(status)}).{last}")
        self._start_again(slot, f"ended ({_describe(status)})")

    def _start_again(self, slot: Slot, reason: str) -> None:
        wait = BACKOFF[min(slot.deaths, len(BACKOFF)) - 1]
        self._output.say(f"{slot.unit.name} {reason}; it starts again in {wait:g} s")
        slot.state = State.WAITING
        slot.not_before = time.monotonic() + wait

    def _collect_strangers(self) -> None:
        """Collect the ended processes that our children have left to us."""
        ours = {slot.process.pid for slot in self._slots.values() if slot.process is not None}
        with contextlib.suppress(ChildProcessError):
            while True:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended is None or ended.si_pid in ours:
                    return
                os.waitpid(ended.si_pid, os.WNOHANG)

    def _stop_all(self) -> None:
        """Stop our own code first, then the servers that it uses."""
        running = [slot for slot in self._slots.values() if slot.process is not None]
        if running and not self._output.broken:
            self._output.say("stopping (Ctrl-C once more kills at once)")
        self._stop([slot for slot in running if not slot.unit.server])
        self._stop([slot for slot in running if slot.unit.server])
        for slot in running:
            if slot.unit.server and slot.unit.before is not None:
                with contextlib.suppress(OSError):
                    slot.unit.before()

    def _stop(self, slots: list[Slot]) -> None:
        for slot in slots:
            if slot.process is not None:
                slot.process.ask_to_stop()
        asked = time.monotonic()
        while slots:
            self._listen(0.05)
            for slot in list(slots):
                process = slot.process
                if process is None:
                    slots.remove(slot)
                    continue
                late = time.monotonic() - asked > process.program.grace
                if process.status() is not None or late or self._in_haste:
                    process.kill()
                    self._read(slot)
                    self._forget_lines(slot)
                    slot.process = None
                    slots.remove(slot)

    # Signals and lines ---------------------------------------------------------------------------

    def _listen_to_signals(self) -> None:
        self._wake.setblocking(False)
        self._waker.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in SIGNALS:
            signal.signal(number, self._on_signal)
        self._selector.register(self._wake, selectors.EVENT_READ, None)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._stop_asked is None:
            self._stop_asked = now
        elif number == signal.SIGINT and now - self._stop_asked > SAME_REQUEST_SECONDS:
            self._in_haste = True

    def _listen(self, seconds: float) -> None:
        """Pass on what the processes write, until a signal or the time is up."""
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    self._wake.recv(4096)
            else:
                self._read(key.data)

    def _read(self, slot: Slot) -> None:
        if slot.lines is None:
            return
        lines, more = slot.lines.read()
        for line in lines:
            self._output.line(slot.unit.name, line)
            if line.strip():
                slot.tail.append(line.strip())
        if not more:
            self._forget_lines(slot)

    def _forget_lines(self, slot: Slot) -> None:
        if slot.lines is not None:
            self._selector.unregister(slot.lines.descriptor)
            os.close(slot.lines.descriptor)
            slot.lines = None


def _describe(status: int | None) -> str:
    if status is not None and status < 0:
        return f"signal {signal.Signals(-status).name}"
    return f"exit status {status}"
