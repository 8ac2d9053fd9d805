"""What the tests of cold storage share: an empty bucket and an empty cache."""

import pytest

from archive import store
from common.cache import cache


def keys(prefix: str = "") -> list[str]:
    """Return the bucket's keys."""
    return [key for key, _ in store.patient.keys(prefix)]


@pytest.fixture(autouse=True)
def _empty(empty_bucket):
    cache.close()
    cache.execute("FLUSHDB")
    store.brisk._left_alone_until = 0.0
    yield
    cache.close()


@pytest.fixture
def s3_away(servers):
    """Stop the S3 server's process for the rest of the test: connections stand, answers don't."""
    servers.s3.pause()
    yield
    servers.s3.resume()
    store.brisk._left_alone_until = 0.0
