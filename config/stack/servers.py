"""The three servers together, for tests and tools that need them without the rest of the stack.

    servers = LocalServers(Path("/tmp/somewhere"))
    os.environ |= servers.start()
    servers.valkey.pause()
    servers.stop()

They end with the process that started them, more exactly with its thread that did.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from config.stack.folder import DataFolder
from config.stack.orphans import end_orphans
from config.stack.postgres import Postgres
from config.stack.s3 import ObjectStore
from config.stack.server import Server
from config.stack.valkey import Valkey

KINDS: tuple[type[Server], ...] = (Postgres, Valkey, ObjectStore)
NAMES = tuple(kind.name for kind in KINDS)


class LocalServers:
    """PostgreSQL, Valkey and S3 on one data folder, each a handle of its own.

    What they will be reached by is known, and `environment()` right, before they are started.
    """

    def __init__(self, data_dir: Path, only: Sequence[str] = NAMES) -> None:
        self.folder = DataFolder(data_dir)
        self.folder.open()
        end_orphans(self.folder.path)
        self.postgres = Postgres(self.folder)
        self.valkey = Valkey(self.folder)
        self.s3 = ObjectStore(self.folder)
        every: tuple[Server, ...] = (self.postgres, self.valkey, self.s3)
        self.chosen = [server for server in every if server.name in only]

    def environment(self) -> dict[str, str]:
        """Return the variables that lead to the chosen servers."""
        return {
            name: value for server in self.chosen for name, value in server.environment().items()
        }

    def start(self) -> dict[str, str]:
        """Start the chosen servers side by side; return the variables once all serve."""
        try:
            # PostgreSQL last: its setup blocks here for a second, in which the others come up.
            for server in reversed(self.chosen):
                server.launch()
            for server in self.chosen:
                server.wait()
        except BaseException:
            self.stop()
            raise
        return self.environment()

    def stop(self) -> None:
        """Stop what runs and let go of the folder."""
        for server in self.chosen:
            if server.process is not None:
                server.process.ask_to_stop()
        for server in self.chosen:
            server.stop()
        self.folder.close()
