"""Of a worker's threads one is kept free of all that is slow; in the ordinary case nobody waits."""

import threading

import pytest

from common import bulkheads as module
from common.bulkheads import PROMPT_SECONDS, Bulkheads, Busy


class Others:
    """Threads of the same worker that wait for something until they are let go."""

    def __init__(self, bulkheads):
        self.bulkheads = bulkheads
        self.over = threading.Event()
        self.threads = []

    def ask_database(self):
        inside = threading.Event()

        def wait():
            self.bulkheads.begin_question()
            inside.set()
            self.over.wait()
            self.bulkheads.end_question()

        self._start(wait, inside)

    def do(self, kind):
        inside = threading.Event()

        def wait():
            with self.bulkheads.slow(kind):
                inside.set()
                self.over.wait()

        self._start(wait, inside)

    def wait_for(self, kind):
        def wait():
            with self.bulkheads.slow(kind):
                pass

        before = self.bulkheads._in_line
        thread = threading.Thread(target=wait)
        thread.start()
        self.threads.append(thread)
        while self.bulkheads._in_line == before:
            assert thread.is_alive()

    def _start(self, wait, inside):
        thread = threading.Thread(target=wait)
        thread.start()
        self.threads.append(thread)
        assert inside.wait(10)

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def four():
    bulkheads = Bulkheads()
    bulkheads.serve_with(4)
    return bulkheads


@pytest.fixture
def others(four):
    others = Others(four)
    yield others
    others.end()


def test_the_last_thread_waits_for_the_database_for_a_moment_alone(four, others):
    for _ in range(3):
        assert four.begin_question() is None
        four.end_question()
        others.ask_database()
    assert four.begin_question() == PROMPT_SECONDS
    assert four.begin_question() == PROMPT_SECONDS, "a question within another is the same one"
    four.end_question()
    four.end_question()


def test_and_not_at_all_where_the_others_are_stuck(four, others, monkeypatch):
    for _ in range(3):
        others.ask_database()
    monkeypatch.setattr(module, "PROMPT_SECONDS", -1.0)
    with pytest.raises(Busy):
        four.begin_question()
    others.end()
    assert four.begin_question() is None
    four.end_question()


def test_half_of_the_threads_do_what_is_slow(four, others):
    others.do("hashing")
    others.do("hashing")
    with pytest.raises(Busy), four.slow("hashing"):
        pass
    # Another kind has room of its own, until one thread is left.
    others.do("archive")
    with pytest.raises(Busy), four.slow("archive"):
        pass
    # The database may still be asked, for a moment.
    assert four.begin_question() == PROMPT_SECONDS
    four.end_question()


def test_who_waits_for_a_turn_holds_a_thread_as_well(four, others, monkeypatch):
    """Two hash, a third waits for one of them: the fourth thread is the one that is kept free."""
    monkeypatch.setattr(module, "PROMPT_SECONDS", 60.0)
    others.do("hashing")
    others.do("hashing")
    others.wait_for("hashing")
    with pytest.raises(Busy), four.slow("hashing"):
        pass
    assert four.begin_question() == 60.0
    four.end_question()
    others.end()
    assert four.begin_question() is None
    four.end_question()


def test_room_comes_back_after_an_error(four):
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), four.slow("archive"):
            raise ZeroDivisionError
    with four.slow("archive"), four.slow("hashing"):
        pass


@pytest.mark.parametrize("threads", [0, 1])
def test_nothing_is_bounded_where_nobody_or_one_thread_serves(threads):
    bulkheads = Bulkheads()
    bulkheads.serve_with(threads)
    others = Others(bulkheads)
    for _ in range(5):
        others.ask_database()
        others.do("archive")
    assert bulkheads.begin_question() is None
    bulkheads.end_question()
    others.end()
