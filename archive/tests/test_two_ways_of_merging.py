"""Copies that are alike are merged the short way: it gives what the long way gives, whatever they are."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from archive.copies import Copy
from archive.hours import Damaged, Facts
from archive.merging import Contradiction, Hour, _alike
from common.ids import new_id
from messaging.wire import make_line

CHAT_ID = new_id()
CHAT, USERS = str(CHAT_ID), [str(new_id()) for _ in range(3)]


def line(seq: int, *, client_id: str | None = None, kind: str = "text", text: str = "so") -> bytes:
    sender = USERS[seq % 3]
    made = make_line(
        chat_id=CHAT, seq=seq, sender_id=sender, kind=kind, at=seq * 10, client_id=client_id,
        text=text,
    )  # fmt: skip
    return made.seen_by(sender.encode())


WAYS = {
    "shown": lambda seq: [line(seq)],
    "own": lambda seq: [line(seq, client_id=f'i|d,"client_id":{seq}')],
    "another's": lambda seq: [line(seq, client_id="other")],
    "otherwise quoted": lambda seq: [
        line(seq, client_id=f'i|d,"client_id":{seq}').replace(b"\\u007c", b"|")
    ],
    "removed": lambda seq: [line(seq, kind="removed", text="")],
    "another text": lambda seq: [line(seq, text="other")],
    "missing": lambda _: [],
    "twice": lambda seq: [line(seq), line(seq)],
    "twice, once with its id": lambda seq: [line(seq), line(seq, client_id="i")],
    "an earlier one after it": lambda seq: [line(seq + 1), line(seq)],
    "no message": lambda _: [b"{}"],
    "nothing": lambda _: [b""],
    "no seq": lambda _: [b'x,"client_id":null}'],
    "cut": lambda seq: [line(seq)[:-3]],
}
FEW = st.sampled_from(["shown", "own"])
MOST = st.one_of(FEW, FEW, FEW, st.sampled_from(sorted(WAYS)))
COPIES = st.integers(1, 4).flatmap(
    lambda count: st.lists(
        st.tuples(st.lists(MOST, min_size=count, max_size=count), st.sampled_from([b"\n"] * 9 + [b""])),
        max_size=11,
    )
)  # fmt: skip


def plain_of(ways: list[str], end: bytes) -> bytes:
    lines = [raw for seq, way in enumerate(ways, 1) for raw in WAYS[way](seq)]
    return b"\n".join(lines) + (end if lines else b"")


def hour_of(plains: list[bytes]) -> Hour:
    hour = Hour(CHAT_ID, 0)
    hour._held = [Copy(new_id(), Facts(0, 0, 0, ""), 0, "", plain) for plain in plains]
    hour.copies = list(hour._held)
    return hour


def outcome(hour: Hour, *, short: bool) -> object:
    try:
        lines = hour.lines() if short else hour._merged([copy.lines() for copy in hour._held])
        return list(lines), hour.half_erased
    except (Contradiction, Damaged):
        return "refused"


@settings(max_examples=600)
@given(COPIES)
@example([(["twice"], b"\n"), (["twice"], b"\n")])
@example([(["own", "shown"], b"\n"), (["shown", "own"], b"\n")])
@example([(["an earlier one after it"], b"\n"), (["an earlier one after it"], b"\n")])
@example([(["shown"], b""), (["shown"], b"\n")])
@example([(["nothing"], b"\n"), (["nothing"], b"\n")])
def test_the_short_way_gives_what_the_long_way_gives(copies: list[tuple[list[str], bytes]]) -> None:
    plains = [plain_of(ways, end) for ways, end in copies]
    assert outcome(hour_of(plains), short=True) == outcome(hour_of(plains), short=False)


def test_the_short_way_is_taken() -> None:
    ways = ["own", "shown", "shown"]
    plains = [plain_of(ways[place:] + ways[:place], b"\n") for place in range(3)]
    assert list(_alike(plains) or ()) == [(seq, WAYS["own"](seq)[0]) for seq in (1, 2, 3)]


@given(COPIES)
def test_taken_in_one_by_one_they_make_the_same(copies: list[tuple[list[str], bytes]]) -> None:
    plains = [plain_of(ways, end) for ways, end in copies]
    hour, whole = hour_of([]), hour_of(plains)
    try:
        for number, copy in enumerate(whole.copies):
            hour.take(Copy(copy.user_id, Facts(0, 0, 0, str(number)), 0, "", copy.plain))
    except (Contradiction, Damaged):
        found: object = "refused"
    else:
        found = outcome(hour, short=True)
    assert found == outcome(whole, short=False)
