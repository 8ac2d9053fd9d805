"""Keys, bytes and visibility, whatever the times, texts and stretches are."""

import gzip
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.hours import (
    MICROS_PER_HOUR,
    Damaged,
    Packer,
    hour_from,
    hour_of,
    hour_path,
    hour_start,
    key_of,
    line_from,
    parse_key,
    plain_chunks,
    seq_of,
    split_lines,
)
from archive.parts import classes, contains, joined, size_of
from messaging.wire import make_line

CHAT, ADA, BOB = (UUID(f"01980f3e-7b1c-7c3a-9d55-0000000000{n}") for n in ("01", "02", "03"))
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
hours = st.integers(0, 2_000_000)
moments = st.integers(0, 4_000_000_000_000_000)
ranges = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 20)), max_size=6).map(
    lambda found: sorted((first, first + more) for first, more in found)
)


@given(hours)
def test_a_key_names_its_hour_and_nothing_else(hour):
    key = key_of(ADA, hour, CHAT)
    assert parse_key(key) == (ADA, hour, CHAT)
    start = hour_start(hour)
    assert hour_path(hour) == start.strftime("%Y/%j/%H")
    assert hour_from(start) == hour_from(start + timedelta(hours=1, microseconds=-1)) == hour


@given(moments)
def test_a_time_lies_in_one_hour(at):
    assert hour_of(at) * MICROS_PER_HOUR <= at < (hour_of(at) + 1) * MICROS_PER_HOUR


@pytest.mark.parametrize(
    "key",
    [
        "", "a/b", f"{ADA}/2026/366/00/{CHAT}", f"{ADA}/2026/7/03/{CHAT}", f"{ADA}/2026/007/24/{CHAT}",
        f"{str(ADA).upper()}/2026/007/03/{CHAT}", f"{ADA}/2026/007/3/{CHAT}", f"{ADA}/2026/007/03/{CHAT}/x",
    ],
)  # fmt: skip
def test_what_is_no_key_is_none(key):
    assert parse_key(key) is None


def line(seq, text, at, client_id):
    return make_line(chat_id=str(CHAT), seq=seq, sender_id=str(ADA), kind="text", text=text, at=at,
                     client_id=client_id)  # fmt: skip


@given(
    st.lists(st.tuples(texts, moments, st.none() | texts), min_size=1, max_size=20),
    st.integers(1, 5),
)
def test_the_bytes_are_a_function_of_messages_and_user_however_they_come(messages, portion):
    lines = [line(seq, *message) for seq, message in enumerate(messages, 1)]
    viewer = str(ADA).encode()
    raw = [(one.seq, one.seen_by(viewer)) for one in lines]
    whole, pieces = Packer(), Packer()
    whole.add(raw)
    for start in range(0, len(raw), portion):
        pieces.add(raw[start : start + portion])
    packed = whole.finish()
    plain = gzip.decompress(packed.held)
    assert gzip.decompress(pieces.finish().held) == plain
    assert plain == b"".join(text + b"\n" for _, text in raw)
    assert packed.facts.count == len(messages)
    read = list(split_lines(plain_chunks([packed.held])))
    assert [seq_of(text) for text in read] == [one.seq for one in lines]
    assert [line_from(text, CHAT).seen_by(viewer) for text in read] == [text for _, text in raw]


@given(st.binary(max_size=60))
def test_no_rubbish_is_taken_for_an_object(data):
    with pytest.raises(Damaged):
        list(plain_chunks([data]))


def test_every_cut_and_every_flipped_bit_is_noticed():
    packer = Packer()
    packer.add([(1, line(1, "a text", 5, None).body)])
    packed = packer.finish().held
    for place in range(len(packed)):
        with pytest.raises(Damaged):
            list(plain_chunks([packed[:place]]))
    right = b"".join(plain_chunks([packed]))
    for place in range(10, len(packed)):
        flipped = packed[:place] + bytes([packed[place] ^ 1]) + packed[place + 1 :]
        try:
            assert b"".join(plain_chunks([flipped])) == right
        except Damaged:
            continue


@given(ranges)
def test_ranges_hold_exactly_what_the_stretches_held(stretches):
    seqs = {seq for first, last in stretches for seq in range(first, last + 1)}
    found = joined(stretches)
    assert size_of(found) == len(seqs)
    assert all(contains(found, seq) == (seq in seqs) for seq in range(90))
    assert all(a[1] + 1 < b[0] for a, b in pairwise(found))


@given(
    st.dictionaries(st.sampled_from([ADA, BOB, CHAT]), ranges), st.sets(st.sampled_from([ADA, BOB]))
)
def test_users_share_an_object_only_when_they_saw_the_same_and_gave_no_client_id(seen, owners):
    readers = {user: joined(stretches) for user, stretches in seen.items()}
    found = list(classes(readers, owners))
    assert sorted(user for users, _ in found for user in users) == sorted(readers)
    for users, shared in found:
        assert all(readers[user] == shared for user in users)
        assert len(users) == 1 or not owners & set(users)
