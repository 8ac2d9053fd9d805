"""The demo where limits hold for it: it comes again when it is told to, or says what stops it."""

import subprocess
import sys

from config.options import BASE_DIR
from config.stack.folder import some_free_port
from config.stack.live import LiveStack


def test_it_waits_for_a_limit_and_says_when_that_would_take_too_long(passable_folder):
    settings = {
        "LIMIT_FREE_ADDRESSES": "none",
        "LIMIT_POLLS_PER_MINUTE": "60",
        # One language has four speakers.
        "LIMIT_REGISTRATIONS_PER_HOUR": "5",
    }
    with LiveStack(passable_folder / "demo", some_free_port(), settings) as stack:
        command = [sys.executable, "-m", "scripts.demo", f"--url={stack.base_url}"]
        command += ["--languages=english", "--messages=40"]

        def play():
            return subprocess.run(
                command, cwd=BASE_DIR, capture_output=True, text=True, timeout=120, check=False
            )

        done = play()
        assert done.returncode == 0, done
        assert "Every message came to everybody once" in done.stdout
        refused = play()
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith("strata: A limit of this server stops the demo: POST /register may be")
    assert "LIMIT_FREE_ADDRESSES" in line
