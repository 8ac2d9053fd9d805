"""Counts are exact: over threads, processes, forks, deaths, and when there is no room for more."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common import counts

ROOT = Path(counts.__file__).parent.parent
CHILD = """
import os, sys
from pathlib import Path
from common import counts
counter = counts.Counter("fruit_total", "Fruit.", "kind")
sizes = counts.Histogram("size_bytes", "Sizes.", bounds=[1, 10])
counter.inc("apple")
counts.board.share(Path(sys.argv[1]))
for _ in range(1000):
    counter.inc("apple")
counter.inc("pear", by=2.5)
sizes.observe(5)
print("counted", flush=True)
sys.stdin.read()
"""


def child(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "counted\n"
    return process


def test_processes_are_summed_and_one_that_was_killed_stays_counted(tmp_path):
    first, second = child(tmp_path), child(tmp_path)
    try:
        both = counts.total(tmp_path)
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert counts.total(tmp_path) == both
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()
    assert both["fruit_total", ("apple",)] == [2002]
    assert both["fruit_total", ("pear",)] == [5]
    assert both["size_bytes", ()] == [10, 0, 2, 0]


def test_threads_lose_none_of_each_others_counts():
    counter = counts.Counter("test_threads_total", "Counts.", "kind")
    histogram = counts.Histogram("test_threads_seconds", "Times.", bounds=[1])

    def count(_):
        for _ in range(5000):
            counter.inc("x")
            histogram.observe(0.5)

    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(count, range(8)))
        found = counts.total(None)
    finally:
        counts.DECLARED.pop(counter.name)
        counts.DECLARED.pop(histogram.name)
    assert found["test_threads_total", ("x",)] == [40_000]
    assert found["test_threads_seconds", ()] == [20_000, 40_000, 0]


def test_a_bound_counts_what_equals_it(tmp_path):
    board_before = counts.total(None)
    histogram = counts.Histogram("test_bounds", "Sizes.", bounds=[1, 2])
    try:
        for value in (1, 1.5, 2, 2.1):
            histogram.observe(value)
    finally:
        counts.DECLARED.pop("test_bounds")
    assert ("test_bounds", ()) not in board_before
    assert counts.total(None)["test_bounds", ()] == [6.6, 1, 2, 1]


def test_a_forked_child_counts_for_itself(tmp_path):
    script = """
import os, sys
from pathlib import Path
from common import counts
counter = counts.Counter("fruit_total", "Fruit.")
counts.board.share(Path(sys.argv[1]))
counter.inc()
if (pid := os.fork()) == 0:
    counter.inc(by=100)
    os._exit(0 if counts.board.cells[counter.place()] == 100 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
counter.inc()
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, check=True)
    assert counts.total(tmp_path)["fruit_total", ()] == [2]


def test_what_there_is_no_room_for_changes_nothing_else():
    board = counts.Board()
    kept = board.place(("kept_total", ()))
    board.cells[kept] = 7
    for number in range(counts.CELLS):
        board.place(("many", (str(number),)), 16)
    while board.place(("filler", (str(len(board._places)),))):
        pass
    assert board.place(("one_more_total", ())) == 0
    board.cells[0] += 1
    found = dict(board.found())
    assert found["kept_total", ()] == [7]
    assert ("one_more_total", ()) not in found


@pytest.mark.parametrize("rest", ["", '[33, 1, "half', "not json\n"])
def test_a_file_that_is_being_written_or_broken_spoils_no_other(tmp_path, rest):
    process = child(tmp_path)
    process.kill()
    process.communicate()
    (names,) = tmp_path.glob("names-*")
    with names.open("a") as file:
        file.write(rest)
    (tmp_path / "names-1-lonely").write_text('[32, 1, "lonely_total"]\n')
    assert counts.total(tmp_path)["fruit_total", ("apple",)] == [1001]
