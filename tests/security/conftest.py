"""The stack and the people of the contract's tests, and what an attacker sees of both."""

from typing import Any

import pytest

from tests.contract.conftest import (  # noqa: F401 - fixtures
    ann,
    ben,
    cid,
    database_url,
    eve,
    redis_url,
    server,
)
from tests.http import Server


@pytest.fixture(scope="session")
def document(server: Server) -> dict[str, Any]:  # noqa: F811 - the fixture
    """Every route that there is, as the server itself describes it."""
    found: dict[str, Any] = server.get("/schema/").ok()
    return found


@pytest.fixture(scope="session")
def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of each."""
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
