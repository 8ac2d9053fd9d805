"""Named places in what the archive does, at which a test can have the process killed.

`ARCHIVE_DIE_AT=backup.put.after` kills it at that step, `backup.put.after#3` when it gets there the
third time; `ARCHIVE_STEPS_FILE` names a file that each step passed is written to. Both are for
tests: where neither is set, a step costs a look into a dictionary.
"""

import os
import signal
import threading
from collections import Counter

_passed: Counter[str] = Counter()
_lock = threading.Lock()


def step(name: str) -> None:
    """Mark a step: dies here, as of `kill -9`, when the environment says so."""
    die_at, record = os.environ.get("ARCHIVE_DIE_AT"), os.environ.get("ARCHIVE_STEPS_FILE")
    if not die_at and not record:
        return
    with _lock:
        _passed[name] += 1
        if record:
            with open(record, "a", encoding="utf-8") as file:  # noqa: PTH123
                file.write(f"{name}\n")
        if die_at in (name, f"{name}#{_passed[name]}"):
            os.kill(os.getpid(), signal.SIGKILL)
