from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.stack.live import LiveStack
from tests.described import Described
from tests.http import Person, Server
from tests.past.stack import PastStack


@pytest.fixture(scope="session")
def server(live_stack: LiveStack) -> Iterator[Server]:
    """The server under test, over real HTTP."""
    server = Server(live_stack.base_url)
    # From here on an answer that the OpenAPI document does not announce fails its test.
    server.described = Described(server.get("/schema/").ok())
    yield server
    server.close()


@pytest.fixture
def ann(server: Server) -> Person:
    return server.person("ann")


@pytest.fixture
def ben(server: Server) -> Person:
    return server.person("ben")


@pytest.fixture
def cid(server: Server) -> Person:
    return server.person("cid")


@pytest.fixture
def eve(server: Server) -> Person:
    """A stranger to all chats of the others."""
    return server.person("eve")


@pytest.fixture(scope="session")
def redis_url(live_stack: LiveStack) -> str:
    return live_stack.environment()["REDIS_URL"]


@pytest.fixture(scope="session")
def database_url(live_stack: LiveStack) -> str:
    return live_stack.environment()["DATABASE_URL"]


# Small, so that few messages go through all three tiers.
IN_CACHE, IN_DATABASE = 5, 10


@pytest.fixture(scope="session")
def past(passable_folder: Path) -> Iterator[PastStack]:
    """A stack whose clock is some years back, whose bucket any client may read; nobody runs the
    archive in it but the tests.
    """
    settings = {
        "HOT_MESSAGES_PER_CHAT": str(IN_CACHE),
        "DB_MESSAGES_PER_CHAT": str(IN_DATABASE),
    }
    start = datetime.now(UTC) - timedelta(days=1000)
    with PastStack(passable_folder / "past", start, settings) as stack:
        stack.live.pause("beat")
        yield stack
