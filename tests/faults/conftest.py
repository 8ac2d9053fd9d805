from collections.abc import Iterator

import pytest

from config.stack.live import LiveStack
from tests.faults.stage import Stage


@pytest.fixture(scope="session")
def _stage(live_stack: LiveStack) -> Iterator[Stage]:
    stage = Stage(live_stack)
    yield stage
    stage.close()


@pytest.fixture
def stage(_stage: Stage) -> Iterator[Stage]:
    """The stack whose parts fail; whole again before each test and after it."""
    _stage.mend()
    yield _stage
    _stage.mend()
