"""docs/api.md: what it shows can be typed in as it stands, from top to bottom."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config.options import BASE_DIR

GUIDE = (BASE_DIR / "docs" / "api.md").read_text("utf-8")
SHELL = "\n".join(re.findall(r"^```sh\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE))
PYTHON = "\n".join(re.findall(r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE))

# Where a machine has no jq, its few words that the guide uses are done in Python.
JQ = """#!{python}
import json, sys
flags = [word for word in sys.argv[1:] if word.startswith("-")]
program, *files = [word for word in sys.argv[1:] if not word.startswith("-")]
data = json.load(open(files[0]) if files else sys.stdin)
path, _, wanted = program.partition(" == ")
for key, index in __import__("re").findall(r"\\.(\\w+)|\\[(\\d+)\\]", path):
    data = data[key] if key else data[int(index)]
if wanted:
    data = data == json.loads(wanted)
print(data if "-r" in flags and isinstance(data, str) else json.dumps(data))
sys.exit("-e" in flags and data in (None, False))
"""


@pytest.fixture
def tools(tmp_path: Path) -> str:
    if shutil.which("jq"):
        return os.environ["PATH"]
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "jq").write_text(JQ.replace("{python}", sys.executable))
    (folder / "jq").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.skipif(shutil.which("curl") is None, reason="the guide is for who has curl")
def test_its_commands_work(live_stack, tmp_path, tools):
    # Names are taken once a server, and tests share one.
    mark = os.urandom(4).hex()
    script = re.sub(r'"(ada|bob)"', rf'"\1-{mark}"', SHELL)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={"URL": live_stack.base_url, "PATH": tools},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done
    assert "Hello, Bob!" in done.stdout
    assert "Which chapter?" in done.stdout
    assert '"errors"' not in done.stdout


def test_its_program_works(live_stack, tmp_path):
    mark = os.urandom(4).hex()
    done = subprocess.run(
        [sys.executable, "-c", re.sub(r'"(cleo|dan)"', rf'"\1-{mark}"', PYTHON)],
        cwd=tmp_path,
        env={"URL": live_stack.base_url, "PYTHONPATH": str(BASE_DIR / "clients" / "python")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done
    assert done.stdout.rstrip().endswith("Hello, Cleo!")
