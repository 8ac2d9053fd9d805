"""What keeps the stack from starting is said in one sentence, and nothing is left behind."""

import os
import shutil
import subprocess
import sys

import pytest

from config import options
from config.stack.folder import some_free_port
from config.tests.test_stack import one_sentence, run_stack

ROOT = os.geteuid() == 0
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]


def as_nobody():
    """Return the prefix of a command to be run as an ordinary user; skip where that can't be."""
    if not ROOT:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv here")
    # Not every path to an interpreter can be entered by others, and then another may answer.
    code = "import sys; sys.path.insert(0, ''); import config.stack.stack; print(sys.base_prefix)"
    tried = subprocess.run(
        [*AS_NOBODY, sys.executable, "-c", code],
        cwd=options.BASE_DIR,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.stdout.strip() != sys.base_prefix:
        pytest.skip("other users can't reach this checkout or its Python")
    return AS_NOBODY


def test_a_folder_that_may_not_be_written_to(open_folder):
    prefix = as_nobody()
    open_folder.chmod(0o555)
    status, text = run_stack(open_folder / "data", some_free_port(), prefix=prefix)
    assert status == 1
    assert "No permission to write" in one_sentence(text)
    status, text = run_stack(open_folder, some_free_port(), prefix=prefix)
    assert status == 1
    assert "No permission to write" in one_sentence(text)


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "data").touch()
    status, text = run_stack(tmp_path / "data", some_free_port())
    assert status == 1
    assert "File exists" in one_sentence(text)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 20 MB, mounted for as long as the test runs."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(tmp_path)]
    if not ROOT or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("may not mount here")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_disk_that_is_full(small_disk):
    status, text = run_stack(small_disk / "data", some_free_port())
    assert status == 1
    assert "is full: 19 MB are free" in one_sentence(text)
    with pytest.raises(OSError, match="No space"):
        (small_disk / "ballast").write_bytes(bytes(30_000_000))
    status, text = run_stack(small_disk / "data", some_free_port())
    assert status == 1
    assert "is full" in one_sentence(text)


def test_a_disk_that_is_read_only(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for folder in (small_disk, small_disk / "data"):
        status, text = run_stack(folder, some_free_port())
        assert status == 1
        assert "No permission to write" in one_sentence(text)


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"WEB_WORKERS": "two"}, "WEB_WORKERS"),
        ({"HOST": "203.0.113.1"}, "set HOST and PORT"),
        ({"HOST": "no.such.host.invalid"}, "set HOST and PORT"),
    ],
)
def test_settings_that_cant_be_used(tmp_path, variables, reason):
    status, text = run_stack(tmp_path / "data", some_free_port(), **variables)
    assert status == 1
    assert reason in one_sentence(text)


def test_a_port_that_is_none(tmp_path):
    status, text = run_stack(tmp_path / "data", 123456)
    assert status == 1
    assert "between" in one_sentence(text)


def test_data_of_another_postgresql(tmp_path):
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9.6\n", encoding="ascii")
    status, text = run_stack(tmp_path, some_free_port())
    assert status == 1
    assert "was made by PostgreSQL 9.6" in one_sentence(text)


def test_a_server_from_outside_that_is_not_there(tmp_path):
    url = f"postgres://nobody@127.0.0.1:{some_free_port()}/none"
    status, text = run_stack(tmp_path, some_free_port(), DATABASE_URL=url)
    assert status == 1
    assert "DATABASE_URL" in one_sentence(text)
