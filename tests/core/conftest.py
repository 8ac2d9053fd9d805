"""What the tests of the core share."""

import pytest

from archive import store
from common import database_identity
from common.cache import cache
from messaging.database_mark import KEY
from messaging.sweeper import Sweeper


@pytest.fixture(autouse=True)
def _no_doubts(monkeypatch):
    """Believe the cache, though a test's imports made this process a web worker just now."""
    monkeypatch.setattr(database_identity.met, "doubts_until", 0.0)


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.close()
    cache.execute("FLUSHDB")
    store.patient.delete([KEY])
    yield
    cache.close()


@pytest.fixture
def sweeper() -> Sweeper:
    """A sweeper that has swept once, as one always has."""
    sweeper = Sweeper()
    sweeper.sweep()
    return sweeper
