from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.stack.servers import LocalServers
from tests.production.deployment import WEBS, Deployment


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder with a short path, as sockets must have."""
    made = Path(tempfile.mkdtemp(prefix="strata-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def deployment(folder: Path, servers: LocalServers) -> Iterator[Deployment]:
    """Two web servers behind the proxy, on a database of this version."""
    with Deployment(folder, sys.executable, servers.environment()) as made:
        made.migrate()
        for name in WEBS:
            made.start(name)
        made.start_proxy()
        yield made
