"""What the tests of accounts share."""

import pytest

from accounts.tests.factories import client_of
from common.cache import cache


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.close()
    cache.execute("FLUSHDB")
    yield
    cache.close()


@pytest.fixture
def anyone(db):
    """A client without a token."""
    return client_of()
