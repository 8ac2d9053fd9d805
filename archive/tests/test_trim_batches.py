"""Trim takes few messages at a time where a batch takes long, so that no sender waits for it."""

from archive.trim import BATCH, LONGEST_SECONDS, SMALLEST_BATCH, Batch


def took(batch: Batch, seconds: float, monkeypatch) -> int:
    moments = iter((0.0, seconds))
    monkeypatch.setattr("archive.trim.time.monotonic", lambda: next(moments))
    with batch.timed():
        pass
    return batch.size


def test_a_batch_that_took_long_halves_the_next_down_to_a_few(monkeypatch):
    batch = Batch()
    assert took(batch, LONGEST_SECONDS, monkeypatch) == BATCH // 2
    sizes = [took(batch, LONGEST_SECONDS, monkeypatch) for _ in range(10)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == SMALLEST_BATCH


def test_short_ones_let_it_grow_again_and_no_further_than_it_was(monkeypatch):
    batch = Batch()
    for _ in range(3):
        took(batch, LONGEST_SECONDS, monkeypatch)
    assert took(batch, LONGEST_SECONDS / 4, monkeypatch) == BATCH // 8, "neither long nor short"
    sizes = [took(batch, 0.0, monkeypatch) for _ in range(5)]
    assert sizes[-1] == BATCH
    assert max(sizes) == BATCH
