"""One side of `scripts.bench.against`: fills a stack of one checkout and measures when told.

    python side.py CHECKOUT SETTINGS

Run as a file of its own: the checkout's own bench does the work, and an old one knows nothing of
this. SETTINGS is JSON: what the stack is started with. A line of JSON on standard input asks for a
measurement, `{"work": title, "seconds": 2.0}`; one on standard output answers. The end of the
input ends it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

CHECKOUT, SETTINGS = sys.argv[1], json.loads(sys.argv[2])
sys.path.insert(0, CHECKOUT)
os.chdir(CHECKOUT)

from config.stack.live import LiveStack  # noqa: E402 - of the checkout
from scripts.bench.figures import Figures  # noqa: E402
from scripts.bench.load import Request  # noqa: E402
from scripts.bench.run import CONSTANT, Bench  # noqa: E402
from scripts.bench.scale import FULL, Scenario  # noqa: E402

# As much as keeps caches honest, and is filled in a minute.
SCALE = dataclasses.replace(
    FULL, pollers=400, senders=200, groups=40, wide_groups=2, page_chats=100
)


class Side(Bench):
    """A bench that measures what it is asked for, one at a time."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, SCALE, _say, only_main=True)
        settings = {"WORKER_CONCURRENCY": "1", **SETTINGS}
        self._stack = LiveStack(folder / "data", self._stack.port, settings)

    def _main(self, scenarios: Any) -> None:
        known: dict[str, Scenario] = {scenario.title: scenario for scenario in scenarios}
        _answer({"works": list(known)})
        for line in sys.stdin:
            asked = json.loads(line)
            figures = Figures(asked["work"])
            if asked["work"] == CONSTANT:
                self._scale = dataclasses.replace(self._scale, seconds=asked["seconds"])
                self._floor(figures, Request("GET", "/constant"))
            else:
                self._one(figures, known[asked["work"]], asked["seconds"])
            _answer({"cpu": figures.cpu[0], "problems": self.results.problems})
            self.results.problems.clear()


def _say(what: str) -> None:
    sys.stderr.write(f"{CHECKOUT}: {what}\n")


def _answer(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="strata-side-") as name:
        # PostgreSQL runs as another user where we are root, and has to pass through.
        Path(name).chmod(0o711)
        Side(Path(name)).run()
