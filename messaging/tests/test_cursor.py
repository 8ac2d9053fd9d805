"""The cursor: small, its user's own, and good for nothing when anything about it was changed."""

import string
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError

from messaging.cursor import MAX_CHARS, Cursor, CursorTooLong, decode_own, encode

ADA = UUID("01980f3e-7b1c-7c3a-9d55-0123456789ab")
BOB = UUID("01980f3e-7b1c-7c3a-9d55-0123456789ac")
NOW = 1_790_000_000_000_000
ALPHABET = string.ascii_letters + string.digits + "-_."

moments = st.integers(0, 4_000_000_000_000_000)


@st.composite
def written(draw) -> Cursor:
    at = draw(moments)
    ahead = draw(st.dictionaries(st.integers(1, 2**40), st.integers(1, 2**36), max_size=40))
    return Cursor(
        ADA,
        draw(st.integers(0, 2**31)),
        at,
        {number: at + step for number, step in ahead.items()},
        draw(st.just(0) | moments),
    )


@given(written())
def test_what_is_written_is_read(cursor):
    assert decode_own(encode(cursor), ADA) == cursor


@given(written(), st.data())
def test_a_cursor_with_any_character_changed_is_refused(cursor, data):
    text = encode(cursor)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from([c for c in ALPHABET if c != text[place]]))
    with pytest.raises(ValidationError):
        decode_own(text[:place] + other + text[place + 1 :], ADA)


@given(written(), st.integers(1, 40))
def test_a_cursor_cut_short_is_refused(cursor, missing):
    with pytest.raises(ValidationError):
        decode_own(encode(cursor)[:-missing], ADA)


@pytest.mark.parametrize("text", ["", ".", "a.b", "é", "\ud800", "=" * 10, "A" * 5000, " "])
def test_what_is_no_cursor_is_refused(text):
    with pytest.raises(ValidationError):
        decode_own(text, ADA)


def test_padding_and_white_space_make_another_text():
    text = encode(Cursor(ADA, 1, NOW))
    for garbled in (text + "=", text + " ", " " + text, text + "\n", text.replace(".", "=.")):
        with pytest.raises(ValidationError):
            decode_own(garbled, ADA)


def test_another_users_cursor_is_refused_like_a_forged_one():
    with pytest.raises(ValidationError) as theirs:
        decode_own(encode(Cursor(BOB, 1, NOW)), ADA)
    with pytest.raises(ValidationError) as forged:
        decode_own("forged", ADA)
    assert theirs.value.detail == forged.value.detail


def test_four_hundred_chats_of_a_large_server_fit():
    positions = {7_000_000 + 20_000 * n: NOW + 70_000 * n + 1 for n in range(400)}
    assert len(encode(Cursor(ADA, 1, NOW, positions))) <= MAX_CHARS


def test_more_chats_than_fit_are_refused_rather_than_cut():
    with pytest.raises(CursorTooLong):
        encode(Cursor(ADA, 1, NOW, {n * 10**6: NOW + n for n in range(1, 2000)}))


def test_a_move_forgets_the_chats_that_its_time_covers():
    cursor = Cursor(ADA, 1, 100, {1: 150, 2: 300})
    moved = cursor.moved(200, {3: 250, 4: 180})
    assert (moved.at, moved.positions) == (200, {2: 300, 3: 250})
    assert [moved.position(n) for n in (1, 2, 3, 4)] == [200, 300, 250, 200]


def test_its_time_never_goes_back():
    assert Cursor(ADA, 1, 100).moved(50, {1: 120}).at == 100
