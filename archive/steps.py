"""Named places in what the archive does, at which a test can have the process killed.

`ARCHIVE_DIE_AT=put.after` kills it at that step, `put.after#3` when it gets there the third time;
`ARCHIVE_INTERRUPT_AT` sends it one Ctrl-C there instead. `ARCHIVE_STEPS_FILE` names a file that
each step passed is written to. All three are for tests: where none is set, a step costs a look
into a dictionary. A test sees to it that each step named here is killed by some test.
"""

import os
import signal
import threading
from collections import Counter
from typing import Final

STEPS: Final = (
    *("chat.locked", "put.before", "put.after", "read_back.after"),
    *("record.before", "record.inside", "record.after"),
    *("manifest.assigned", "manifest.put", "manifest.inside", "manifest.after", "manifest.base"),
    *("snapshot.before", "snapshot.manifest", "snapshot.after"),
    *("trim.verify", "trim.verified", "trim.before", "trim.inside", "trim.after"),
    *("purge.before", "purge.inside", "purge.hidden", "purge.deleted", "purge.rows"),
    *("restore.users", "restore.blocks", "restore.chats"),
    *("restore.chat", "restore.inside", "restore.after"),
    *("restore.honoured", "restore.epoch"),
    *("repair.before", "repair.after"),
    *("drill.created", "drill.ranges", "drill.restored"),
    *("erase.wished", "erase.asked.inside", "erase.asked"),
    *("erase.announced", "erase.rewritten", "erase.done"),
    *("erase.user", "erase.texts", "erase.prefix"),
    *("export.claimed", "export.written", "export.put", "export.ready", "export.deleted"),
)
"""Every step there is."""

_passed: Counter[str] = Counter()
_lock = threading.Lock()


def step(name: str) -> None:
    """Mark a step: dies here, as of `kill -9`, or is interrupted when the environment says so."""
    die_at, record = os.environ.get("ARCHIVE_DIE_AT"), os.environ.get("ARCHIVE_STEPS_FILE")
    interrupt_at = os.environ.get("ARCHIVE_INTERRUPT_AT")
    if not die_at and not record and not interrupt_at:
        return
    if name not in STEPS:
        raise ValueError(name)
    with _lock:
        _passed[name] += 1
        names = (name, f"{name}#{_passed[name]}")
        if record:
            with open(record, "a", encoding="utf-8") as file:  # noqa: PTH123
                file.write(f"{name}\n")
        if die_at in names:
            os.kill(os.getpid(), signal.SIGKILL)
        if interrupt_at == names[1] or (interrupt_at == name and _passed[name] == 1):
            os.kill(os.getpid(), signal.SIGINT)
