"""What the tests of groups share."""

import pytest

from common.cache import cache


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.close()
    cache.execute("FLUSHDB")
    yield
    cache.close()
