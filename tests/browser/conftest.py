"""A browser on a real server, which fails a test for any error that a page has."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from config.options import BASE_DIR
from config.stack.live import LiveStack
from tests.browser.pages import Watched
from tests.http import Person, Server

CHROMIUM = (
    os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
)
PASSWORD = "a long sentence for tests"


@dataclass(frozen=True)
class Staff:
    """Somebody who may enter the admin."""

    username: str
    password: str = PASSWORD


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium; CHROMIUM names another one."""
    if CHROMIUM is None:
        pytest.fail("There is no chromium. Install Debian's package, or set CHROMIUM to yours.")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(live_stack: LiveStack) -> Iterator[Server]:
    """The same server, spoken to as a program does."""
    server = Server(live_stack.base_url)
    yield server
    server.close()


@pytest.fixture(scope="session")
def manage(live_stack: LiveStack) -> Callable[..., str]:
    """Run a manage.py command on the server's data."""

    def run(*arguments: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, BASE_DIR / "manage.py", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            env={
                "PATH": os.environ["PATH"],
                "DATA_DIR": str(live_stack.data_dir),
                **environment,
            },
            check=False,
        )
        assert done.returncode == 0, done
        return done.stdout

    return run


@pytest.fixture(scope="session")
def superuser(manage: Callable[..., str]) -> Staff:
    """An account that may do everything."""
    staff = Staff(f"root-{secrets.token_hex(4)}")
    manage(
        "createsuperuser",
        "--noinput",
        "--username",
        staff.username,
        DJANGO_SUPERUSER_PASSWORD=staff.password,
    )
    return staff


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    """Both themes."""
    found: str = request.param
    return found


@pytest.fixture
def browse(chromium: Browser, live_stack: LiveStack) -> Iterator[Callable[..., Watched]]:
    """Open a page in a window of its own; whatever went wrong in it fails the test at its end."""
    opened: list[Watched] = []

    def open_page(*, width: int = 1280, scheme: str = "light") -> Watched:
        context = chromium.new_context(
            base_url=live_stack.base_url,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            reduced_motion="reduce",
        )
        context.set_default_timeout(15_000)
        page: Page = context.new_page()
        watched = Watched(page)
        opened.append(watched)
        return watched

    yield open_page
    for watched in opened:
        watched.page.context.close()
    for watched in opened:
        assert watched.errors == []


@pytest.fixture
def person(server: Server) -> Callable[[str], Person]:
    """Register somebody who has a password."""

    def register(name: str) -> Person:
        return server.person(name, password=PASSWORD)

    return register
