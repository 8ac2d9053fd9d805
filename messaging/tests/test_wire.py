"""A message's line: the JSON it is made as, what each user sees of it, and how the cache keeps it."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from common.times import rfc3339
from messaging.wire import from_micros, make_line, micros_text, to_micros, unpack

CHAT, ADA, BOB = (f"01980f3e-7b1c-7c3a-9d55-0000000000{n}" for n in ("01", "02", "03"))
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
moments = st.integers(0, 4_000_000_000_000_000)


@given(texts, moments, st.none() | texts, st.none() | st.just(BOB), st.integers(1, 2**60))
def test_a_line_is_the_message_and_survives_the_cache(text, at, client_id, subject, seq):
    line = make_line(
        chat_id=CHAT,
        seq=seq,
        sender_id=ADA,
        kind="text",
        text=text,
        at=at,
        client_id=client_id,
        subject_id=subject,
    )
    message = {
        "chat_id": CHAT,
        "seq": seq,
        "sender_id": ADA,
        "kind": "text",
        "text": text,
        "sent_at": micros_text(at),
        "client_id": client_id,
    }
    assert orjson.loads(line.seen_by(ADA.encode())) == message
    assert orjson.loads(line.seen_by(BOB.encode())) == message | {"client_id": None}
    assert list(orjson.loads(line.body)) == list(message)
    assert unpack(seq, line.packed()) == line


@given(st.text("\x01|z{\u4e00\U0001f98a", min_size=1, max_size=50), st.integers(1, 90))
def test_a_long_line_survives_the_cache_and_is_never_larger_there(piece, times):
    text = (piece * times * 50)[:4096]
    line = make_line(
        chat_id=CHAT, seq=1, sender_id=ADA, kind="text", text=text, at=1, client_id="a|b"
    )
    assert unpack(1, line.packed()) == line
    assert len(line.packed()) < len(line.body) + 120
    assert orjson.loads(line.seen_by(BOB.encode()))["text"] == text


@given(moments)
def test_times_are_exact_to_the_microsecond(micros):
    assert to_micros(from_micros(micros)) == micros
    assert micros_text(micros) == rfc3339(from_micros(micros))
