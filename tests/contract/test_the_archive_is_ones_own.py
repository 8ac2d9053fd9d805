"""`/archive/`: the caller's own hours, listed and downloaded; nobody else's, by whatever id."""

import gzip
import itertools
import uuid

import pytest

from tests.http import JSON, LIST_KEYS, Person, check_id, check_time
from tests.past.stack import PastStack


@pytest.fixture(scope="module")
def people(past: PastStack) -> list[Person]:
    """Ann and Ben with two chats of two hours; Cid who left the group; Eve with nothing."""
    ann, ben, cid, eve = past.server.people("ann", "ben", "cid", "eve")
    group = ann.group(ben, cid)
    for n in range(3):
        ann.send(ben, f"p{n}", f"id-{n}").ok(201)
        ben.send_group(group, f"g{n}").ok(201)
    past.clock.next_hour()
    ann.remove(group, cid).ok(200)
    for n in range(3):
        ben.send(ann, f"later p{n}").ok(201)
        ann.send_group(group, f"later g{n}").ok(201)
    past.clock.next_hour()
    past.do("backup")
    return [ann, ben, cid, eve]


def listed(person: Person, **query: object) -> list[JSON]:
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return list(person.walk(f"/archive/?{text}"))


def test_the_list_is_what_the_prefix_holds(past: PastStack, people: list[Person]) -> None:
    for person in people:
        entries = listed(person)
        keys = sorted(f"{person.user_id}/{entry['path'].rstrip('/')}" for entry in entries)
        assert keys == past.keys(f"{person.user_id}/")
        for entry in entries:
            check_id(entry["chat_id"])
            check_time(entry["hour"])
            held = past.get(f"{person.user_id}/{entry['path'].rstrip('/')}")
            assert entry["sha256"] == held.metadata["sha256"]
            assert entry["size"] == len(held.raw)
            for name in ("first_seq", "last_seq", "count"):
                assert str(entry[name]) == held.metadata[name.replace("_", "-")]
    assert listed(people[3]) == []


def test_it_is_paged(people: list[Person]) -> None:
    first = people[0].get("/archive/").ok()
    assert set(first) == LIST_KEYS
    whole = listed(people[0])
    assert len(whole) == len({entry["path"] for entry in whole}) == 4


def test_by_year_day_hour_and_chat(people: list[Person]) -> None:
    ann = people[0]
    whole = listed(ann)
    parts = {entry["path"]: entry["path"].split("/")[:4] for entry in whole}
    for year, day, hour, chat in {tuple(each) for each in parts.values()}:
        for query in (
            {"year": year},
            {"year": year, "day": int(day)},
            {"year": year, "day": day},
            {"year": year, "day": int(day), "hour": int(hour)},
            {"year": year, "day": int(day), "hour": int(hour), "chat_id": chat},
            {"chat_id": chat},
        ):
            wanted = [
                entry
                for entry in whole
                if all(
                    str(value).lstrip("0") == found.lstrip("0")
                    for name, value in query.items()
                    for found in [
                        dict(
                            zip(
                                ("year", "day", "hour", "chat_id"),
                                parts[entry["path"]],
                                strict=True,
                            )
                        )[name]
                    ]
                )
            ]
            assert wanted
            assert listed(ann, **query) == wanted
    assert listed(ann, year=1999) == []
    assert listed(ann, chat_id=str(uuid.uuid4())) == []


@pytest.mark.parametrize(
    "query",
    [
        "year=x",
        "year=-1",
        "year=99999999999999999999",
        "year=2026&day=0",
        "year=2026&day=367",
        "year=2025&day=366",
        "year=2026&day=x",
        "year=2026&day=7&hour=24",
        "year=2026&day=7&hour=-1",
        "year=2026&day=7&hour=1.5",
        "day=7",
        "hour=7",
        "year=2026&hour=7",
        "chat_id=x",
        "chat_id=%00",
        "chat_id=../../",
        "year=%00",
        "year=2026&day=7&hour=%F0%9F%A6%8A",
        "cursor=x",
        "cursor=%00",
    ],
)
def test_a_bad_query_is_refused_in_the_one_shape(people: list[Person], query: str) -> None:
    answer = people[0].get(f"/archive/?{query}")
    assert answer.status in {400, 404}, answer
    answer.problem()


def test_a_download_is_the_object_itself(past: PastStack, people: list[Person]) -> None:
    for person in people[:3]:
        for entry in listed(person):
            held = past.get(f"{person.user_id}/{entry['path'].rstrip('/')}")
            answer = person.get(f"/archive/{entry['path']}")
            assert answer.status == 200, answer
            assert answer.headers["content-type"].partition(";")[0] == "application/x-ndjson"
            assert answer.headers["content-encoding"] == "gzip"
            # The client has unpacked it.
            assert answer.content == held.plain
            with person.server.http.stream(
                "GET",
                f"/archive/{entry['path']}",
                headers={"authorization": f"Bearer {person.token}"},
            ) as raw:
                packed = b"".join(raw.iter_raw())
            assert packed == held.raw
            assert gzip.decompress(packed) == held.plain


def test_what_is_not_ones_own_is_a_404(past: PastStack, people: list[Person]) -> None:
    own = {person.user_id: {e["path"] for e in listed(person)} for person in people}
    every = set.union(*own.values())
    for person, path in itertools.product(people, every):
        if path not in own[person.user_id]:
            person.get(f"/archive/{path}").refused(404)
    # Ann and Ben have the same chats and hours: each gets the own copy.
    ann, ben = people[:2]
    for path in own[ann.user_id] & own[ben.user_id]:
        for person in (ann, ben):
            held = past.get(f"{person.user_id}/{path.rstrip('/')}")
            assert person.get(f"/archive/{path}").content == held.plain


@pytest.mark.parametrize(
    "path",
    [
        "2026/007/03/{chat}/",
        "2026/7/3/{chat}/",
        "1999/001/00/{chat}/",
        "0/0/0/{chat}/",
        "99999/001/00/{chat}/",
        "99999999999999999999/001/00/{chat}/",
        "2026/366/00/{chat}/",
        "2026/000/00/{chat}/",
        "2026/999/00/{chat}/",
        "2026/001/24/{chat}/",
        "2026/001/99/{chat}/",
        "2026/001/00/x/",
        "2026/001/00/%01/",
        "2026/001/00/..%2F..%2F/",
        "{ann}/2026/007/03/{chat}/",
        "2026/007/03/{chat}/more/",
        "-1/001/00/{chat}/",
        "x/001/00/{chat}/",
    ],
)
def test_a_path_of_nothing_is_a_404(people: list[Person], path: str) -> None:
    ann = people[0]
    chat = listed(ann)[0]["chat_id"]
    ann.get("/archive/" + path.format(chat=chat, ann=ann.user_id)).refused(404)


def test_without_a_token_there_is_nothing(past: PastStack, people: list[Person]) -> None:
    past.server.get("/archive/").refused(401)
    past.server.get(f"/archive/{listed(people[0])[0]['path']}").refused(401)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_it_is_for_reading_only(people: list[Person], method: str) -> None:
    ann = people[0]
    for path in ("/archive/", f"/archive/{listed(ann)[0]['path']}"):
        ann.server.call(method, path, token=ann.token, json_body={}).refused(405)


def test_objects_that_are_not_what_was_written_are_not_handed_out(
    past: PastStack, people: list[Person]
) -> None:
    ann, ben = people[:2]
    path = next(e["path"] for e in listed(ann) if e["path"] in {o["path"] for o in listed(ben)})
    key = f"{ann.user_id}/{path.rstrip('/')}"
    held, bens = past.get(key), past.get(f"{ben.user_id}/{path.rstrip('/')}")
    bomb = gzip.compress(b"\n" * 50_000_000)
    for raw in (
        b"",
        held.raw[:-9],
        held.raw + b"more",
        gzip.compress(held.plain[:-1] + b" \n"),
        bomb,
        *([bens.raw] if bens.plain != held.plain else []),
    ):
        past.put(key, raw, held)
        answer = ann.get(f"/archive/{path}")
        answer.refused(503, "archive_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    past.delete(key)
    ann.get(f"/archive/{path}").refused(503, "archive_unavailable")
    past.put(key, held.raw, held)
    assert ann.get(f"/archive/{path}").content == held.plain
