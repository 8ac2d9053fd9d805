"""Real servers for the tests: PostgreSQL, Valkey and S3, each started once a session.

Where DATABASE_URL, REDIS_URL or S3_ENDPOINT_URL come from outside, the tests use those instead.
The addresses are settled here, on import, since the settings need them; the servers start with
the first test that runs.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from config.stack.errors import StackError
from config.stack.folder import some_free_port
from config.stack.live import LiveStack
from config.stack.servers import KINDS, LocalServers

SHOWN = 40
"""So many lines of a stack's log are shown with a failed test."""
FOLDER = Path(tempfile.mkdtemp(prefix="strata-tests-"))
# Passable for the user that PostgreSQL runs as, where we are root.
FOLDER.chmod(0o711)

try:
    SERVERS = LocalServers(
        FOLDER / "servers", [kind.name for kind in KINDS if not os.environ.get(kind.variable)]
    )
except StackError as error:
    pytest.exit(str(error), returncode=3)

os.environ.update(
    {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": "for-tests-only-" * 5,
        "ARCHIVE_KEY": "an-archive-key-for-tests-only-" * 2,
        "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
        "SECURE_SSL_REDIRECT": "false",
        "SECURE_COOKIES": "false",
        "SECURE_HSTS_SECONDS": "0",
        # On a busy machine a migration of the empty database takes longer than the usual 5 s.
        "DB_TRANSACTION_TIMEOUT_MS": "10000",
        "DATA_DIR": str(FOLDER / "servers"),
        **SERVERS.environment(),
    }
)

# Sub-folders' conftest files may import models.
import django

django.setup()

from django.db import connection
from pytest_django.plugin import DjangoDbBlocker

from archive.store import patient


def pytest_unconfigure() -> None:
    """Stop the servers, however the session ended."""
    SERVERS.stop()
    shutil.rmtree(FOLDER, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failed test what the stack that it used has logged of errors, and last."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("live_stack") or getattr(
        getattr(item, "funcargs", {}).get("stage"), "stack", None
    )
    if report.failed and isinstance(stack, LiveStack):
        lines = stack.output().splitlines()
        errors = [line for line in lines if "Traceback" in line or '"level": "error"' in line]
        report.sections.append(("the stack's errors", "\n".join(errors[-SHOWN:])))
        report.sections.append(("the stack's last words", "\n".join(lines[-SHOWN:])))
    return report


@pytest.fixture(scope="session", autouse=True)
def servers() -> LocalServers:
    """The handles `postgres`, `valkey` and `s3`: pid, stop, kill, pause, resume, start."""
    SERVERS.start()
    return SERVERS


@pytest.fixture(scope="session")
def django_db_modify_db_settings(servers: LocalServers) -> None:
    """Have the database server running before pytest-django makes the tests' database."""


@pytest.fixture(scope="session")
def passable_folder() -> Path:
    """A folder for servers of a test's own; any user may pass through it, as PostgreSQL's must."""
    return FOLDER


@pytest.fixture(scope="session")
def live_stack() -> Iterator[LiveStack]:
    """A whole stack of its own, as `make run` starts it: base_url, environment(), kill(name)."""
    with LiveStack(FOLDER / "live", port=some_free_port()) as stack:
        yield stack


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Let the tests empty the audit log between each other; audit/tests switch its guard on."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_not_emptied")


@pytest.fixture
def empty_bucket(servers: LocalServers) -> None:
    """The bucket without what other tests left in it: it is not emptied with the tables."""
    found = [key for key, _ in patient.keys("")]
    for start in range(0, len(found), 1000):
        patient.delete(found[start : start + 1000])
