"""`/archive/`: one's own objects, listed and downloaded; nobody else's."""

import gzip

import httpx
import pytest

from archive import backup as backups
from archive import downloads, store
from archive.tests.world import every, moment, overwrite, read, talk
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def chat():
    ada, bob = Person("ada"), Person("bob")
    chat_id = talk(ada, bob, [*every(20, 7), moment("2026-02-01 00:00:00")])
    backups.backup()
    return ada, bob, chat_id


def test_it_lists_and_downloads(chat):
    ada, _, chat_id = chat
    found = ada.client.get("/archive/").json()["results"]
    assert len(found) == 4
    entry = next(one for one in found if one["hour"] == "2026-01-07T04:00:00.000000Z")
    assert entry["path"] == f"2026/007/04/{chat_id}/"
    assert (entry["chat_id"], entry["first_seq"], entry["last_seq"], entry["count"]) == (
        str(chat_id), 4, 6, 3,
    )  # fmt: skip
    response = ada.client.get(f"/archive/{entry['path']}")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/x-ndjson"
    body = response.content
    assert gzip.decompress(body) == read(f"{ada.id}/2026/007/04/{chat_id}")["plain"]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("year=2026", 4), ("year=2026&day=7", 3), ("year=2026&day=7&hour=5", 1), ("year=2025", 0),
        ("year=2026&day=32", 1),
    ],
)  # fmt: skip
def test_it_lists_by_year_day_and_hour(chat, query, count):
    ada, _, chat_id = chat
    assert len(ada.client.get(f"/archive/?{query}").json()["results"]) == count
    narrowed = ada.client.get(f"/archive/?{query}&chat_id={chat_id}").json()["results"]
    assert len(narrowed) == count
    assert ada.client.get(f"/archive/?{query}&chat_id={ada.id}").json()["results"] == []


@pytest.mark.parametrize("query", ["day=7", "hour=3", "year=x", "year=2026&day=366", "chat_id=1"])
def test_it_refuses_nonsense(chat, query):
    assert chat[0].client.get(f"/archive/?{query}").status_code == 400


def test_it_shows_nobody_elses(chat):
    _, _, chat_id = chat
    eve = Person("eve")
    assert eve.client.get("/archive/").json()["results"] == []
    assert eve.client.get(f"/archive/2026/007/04/{chat_id}/").status_code == 404
    for path in ("2026/366/04", "2026/007/24", "9999/001/00", "2026/007/06"):
        assert chat[0].client.get(f"/archive/{path}/{chat_id}/").status_code == 404
    eve.client.credentials()
    assert eve.client.get("/archive/").status_code == 401


def test_a_wrong_object_is_not_given_out(chat):
    ada, bob, chat_id = chat
    key, other = (f"{person.id}/2026/007/04/{chat_id}" for person in (ada, bob))
    overwrite(key, read(other)["raw"])
    assert ada.client.get(f"/archive/2026/007/04/{chat_id}/").status_code == 503
    store.patient.delete([key])
    assert ada.client.get(f"/archive/2026/007/04/{chat_id}/").status_code == 503


def test_a_large_one_is_handed_over_as_it_was_when_it_was_right(chat, settings, monkeypatch):
    """nginx asks the bucket for just that object, and gets no other one in its place."""
    settings.DOWNLOADS_BY_PROXY = True
    monkeypatch.setattr(downloads, "WHOLE_BYTES", 0)
    ada, bob, chat_id = chat
    key, other = (f"{person.id}/2026/007/04/{chat_id}" for person in (ada, bob))
    answer = ada.client.get(f"/archive/2026/007/04/{chat_id}/")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["X-Accel-Redirect"] == "/_object"
    assert answer["X-Object-User"] == str(ada.id)
    assert answer["X-Object-Encoding"] == "gzip"
    asked = {"Host": answer["X-Object-Host"], "If-Match": answer["X-Object-ETag"]}
    got = httpx.get(answer["X-Object-URL"], headers=asked)
    assert got.status_code == 200
    assert got.content == read(key)["plain"]
    overwrite(key, read(other)["raw"])
    assert httpx.get(answer["X-Object-URL"], headers=asked).status_code == 412


def test_a_large_one_goes_by_a_few_threads_where_no_nginx_of_ours_is(chat, settings, monkeypatch):
    settings.DOWNLOAD_THREADS, settings.DOWNLOADS_PER_USER = 3, 2
    monkeypatch.setattr(downloads, "WHOLE_BYTES", 0)
    ada, bob, chat_id = chat
    path = f"/archive/2026/007/04/{chat_id}/"
    begun = [ada.client.get(path), ada.client.get(path)]
    assert [answer.status_code for answer in begun] == [200, 200]
    refused = ada.client.get(path)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (503, "downloads_busy")
    assert refused["Retry-After"].isdigit()
    begun.append(bob.client.get(path))
    assert begun[2].status_code == 200
    assert bob.client.get(path).status_code == 503
    # Read to its end, and given up: either gives the thread back.
    assert gzip.decompress(b"".join(begun[0].streaming_content))
    begun[1].close()
    assert [person.client.get(path).status_code for person in (ada, bob)] == [200, 200]


def test_a_refusal_is_json_for_who_asks_for_lines_too(chat):
    ada, _, chat_id = chat
    response = ada.client.get(
        f"/archive/2026/007/09/{chat_id}/", HTTP_ACCEPT="application/x-ndjson"
    )
    assert (response.status_code, response["Content-Type"]) == (404, "application/json")
    assert response.json()["errors"][0]["code"] == "not_found"
