"""Personal export: everything that one may read, for oneself alone, for a day, whatever dies when."""

import gzip
import hashlib
import io
import json
import zipfile
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.db import connection
from django.db.models import Q

from archive import backup as backups
from archive import erase, export, export_making, export_zip, purge, store, trim
from archive.models import Export
from archive.runs import Tally
from archive.tests.conftest import keys
from archive.tests.proxy import bad_network
from archive.tests.world import (
    add,
    command,
    date,
    every,
    moment,
    overwrite,
    read,
    remove,
    talk,
    told,
)
from archive.verify import verify
from common.ids import new_id, parse_id
from common.tests.servers import at_once, paused_cache
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _small(settings):
    settings.HOT_MESSAGES_PER_CHAT = 5
    settings.DB_MESSAGES_PER_CHAT = 10


@pytest.fixture
def world():
    """A private chat and a group, both trimmed, and a chat that was left."""
    ada, bob, eve = Person("ada"), Person("bob"), Person("eve")
    private = talk(ada, bob, every(7, 40))
    group_id = bob.group(ada, name="Böte 🚣")
    bob.tell(group_id, "before")
    add(bob, group_id, eve)
    eve.tell(group_id, 'two\nlines "quoted" | \u2028 😀')
    remove(bob, group_id, eve)
    for number in range(20):
        bob.tell(group_id, f"hidden from eve {number}")
    add(bob, group_id, eve)
    ada.tell(group_id, "seen by all")
    date(group_id, every(2, 26))
    ada.post("/block_user", user_id=str(eve.id))
    backups.backup()
    trim.trim()
    bob.say(ada, "in the running hour", "mine")
    return ada, bob, eve, private, group_id


def ask(person: Person) -> dict[str, Any]:
    response = person.post("/export")
    assert response.status_code in (200, 202), response.content
    found: dict[str, Any] = response.json()
    return found


def shown(person: Person, export_id: str) -> dict[str, Any]:
    response = person.client.get(f"/exports/{export_id}/")
    assert response.status_code == 200, response.content
    found: dict[str, Any] = response.json()
    return found


def make(export_id: str) -> str:
    """Do what the worker does with the task."""
    return export_making.make_export(export_id=parse_id(export_id))  # type: ignore[arg-type]


def downloaded(person: Person, export_id: str) -> zipfile.ZipFile:
    response: Any = person.client.get(f"/exports/{export_id}/download/")
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/zip"
    body = b"".join(response.streaming_content)
    found = shown(person, export_id)
    assert len(body) == found["size"] == int(response["Content-Length"])
    assert hashlib.sha256(body).hexdigest() == found["sha256"]
    archive = zipfile.ZipFile(io.BytesIO(body))
    assert archive.testzip() is None
    return archive


def lines(archive: zipfile.ZipFile, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in archive.read(name).splitlines()]


def test_it_holds_every_message_of_every_tier_as_the_api_shows_it(world):
    for person in world[:3]:
        asked = ask(person)
        assert (asked["state"], asked["download"]) == ("waiting", None)
        assert make(asked["export_id"]) == "ready"
        archive = downloaded(person, asked["export_id"])
        names = {name for name in archive.namelist() if name.startswith("messages/")}
        chats = [chat_id for chat_id in world[3:] if f"messages/{chat_id}.ndjson" in names]
        assert len(chats) == (1 if person is world[2] else 2)
        count = 0
        for chat_id in chats:
            found = lines(archive, f"messages/{chat_id}.ndjson")
            assert found == told(person, chat_id)
            count += len(found)
        ready = shown(person, asked["export_id"])
        assert (ready["state"], ready["messages"], ready["total"]) == ("ready", count, count)
        assert ready["download"] == f"/exports/{asked['export_id']}/download/"


def test_it_holds_who_one_is(world):
    ada, _bob, eve, private, group_id = world
    asked = ask(ada)
    make(asked["export_id"])
    archive = downloaded(ada, asked["export_id"])
    (user,) = lines(archive, "user.json")
    assert (user["user_id"], user["username"]) == (str(ada.id), "ada")
    chats = {chat["chat_id"]: chat for chat in lines(archive, "chats.ndjson")}
    assert set(chats) == {str(private), str(group_id)}
    for chat_id, chat in chats.items():
        assert chat == ada.client.get(f"/chats/{chat_id}/").json()
    (group,) = lines(archive, "groups.ndjson")
    assert group.pop("role") == "member"
    assert group.pop("joined_at")
    assert group == ada.client.get(f"/groups/{group_id}/").json()
    assert [block["user_id"] for block in lines(archive, "blocks.ndjson")] == [str(eve.id)]
    assert ada.client.get("/blocks/").json()["results"] == lines(archive, "blocks.ndjson")
    assert ada.token not in archive.read("user.json").decode()


def test_asking_again_answers_with_the_one_that_is_made_or_fresh(world):
    ada, bob = world[:2]
    first = ada.post("/export")
    assert first.status_code == 202
    again = ada.post("/export", anything="at all")
    assert (again.status_code, again.json()["export_id"]) == (200, first.json()["export_id"])
    make(first.json()["export_id"])
    fresh = ada.post("/export")
    assert (fresh.status_code, fresh.json()["state"]) == (200, "ready")
    assert make(first.json()["export_id"]) == "nothing to do"
    assert bob.post("/export").status_code == 202
    assert [one["export_id"] for one in ada.client.get("/exports/").json()["results"]] == [
        first.json()["export_id"]
    ]


def test_asking_many_times_at_once_makes_one(world):
    ada = world[0]
    devices = [Person.again(ada) for _ in range(6)]
    answers = at_once(6, lambda n: devices[n].post("/export"))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [202]
    assert len({answer.json()["export_id"] for answer in answers}) == 1


def test_nobody_elses_is_reached(world):
    ada, bob = world[:2]
    asked = ask(ada)["export_id"]
    make(asked)
    assert bob.client.get("/exports/").json()["results"] == []
    for path in (f"/exports/{asked}/", f"/exports/{asked}/download/", "/exports/1/"):
        assert bob.client.get(path).status_code == 404
    bob.client.credentials()
    for path in ("/exports/", f"/exports/{asked}/", f"/exports/{asked}/download/"):
        assert bob.client.get(path).status_code == 401
    assert bob.client.post("/export").status_code == 401
    assert keys(f"{ada.id}/export/") == [f"{ada.id}/export/{asked}.zip"]


def test_what_is_not_ready_is_a_conflict(world):
    ada = world[0]
    asked = ask(ada)["export_id"]
    response = ada.client.get(f"/exports/{asked}/download/")
    assert response.status_code == 409
    assert response.json()["errors"][0]["code"] == "export_not_ready"


def test_who_asks_for_the_zip_by_its_type_gets_it_and_errors_as_json(world):
    ada = world[0]
    asked = ask(ada)["export_id"]
    accept: Any = {"HTTP_ACCEPT": "application/zip"}
    early = ada.client.get(f"/exports/{asked}/download/", **accept)
    assert (early.status_code, early.json()["type"]) == (409, "client_error")
    make(asked)
    assert ada.client.get(f"/exports/{asked}/download/", **accept).status_code == 200


def test_without_the_bucket_it_is_refused_and_nothing_is_left(world, s3_away):
    ada = world[0]
    refused = ada.post("/export")
    assert refused.status_code == 503
    assert refused.json()["errors"][0]["code"] == "archive_unavailable"
    assert "Retry-After" in refused
    assert not Export.objects.exists()


def test_a_download_without_the_bucket_is_a_503(world, request):
    ada = world[0]
    asked = ask(ada)["export_id"]
    make(asked)
    request.getfixturevalue("s3_away")
    response = ada.client.get(f"/exports/{asked}/download/")
    assert response.status_code == 503
    assert response.json()["errors"][0]["code"] == "archive_unavailable"
    assert shown(ada, asked)["state"] == "ready"


def test_without_the_queue_it_is_refused_and_nothing_is_left(world, monkeypatch):
    ada = world[0]
    monkeypatch.setitem(current_app.conf, "broker_url", "redis://127.0.0.1:9/0")
    monkeypatch.setitem(current_app.conf, "broker_write_url", "redis://127.0.0.1:9/0")
    refused = ada.post("/export")
    assert refused.status_code == 503
    assert refused.json()["errors"][0]["code"] == "export_unavailable"
    assert "Retry-After" in refused
    assert not Export.objects.exists()


def test_a_queue_that_hangs_holds_nobody_for_long(world):
    ada = world[0]
    with paused_cache():
        refused = ada.post("/export")
    assert refused.status_code == 503
    assert refused.json()["errors"][0]["code"] == "export_unavailable"
    assert ada.post("/export").status_code == 202


def run(export_id: str, **environment: str) -> int:
    """Make an export in a process of its own; return its exit status."""
    code = (
        "from uuid import UUID; from archive import export_making as making;"
        f" making.make_export(export_id=UUID('{export_id}'))"
    )
    return command("shell", "--no-imports", "-c", code, **environment).returncode


@pytest.mark.parametrize("step", ["export.claimed", "export.written", "export.put", "export.ready"])
def test_a_killed_worker_leaves_nothing_that_another_does_not_finish(world, step):
    ada, private = world[0], world[3]
    asked = ask(ada)["export_id"]
    assert run(asked, ARCHIVE_DIE_AT=step) == -9
    assert shown(ada, asked)["state"] == ("ready" if step == "export.ready" else "running")
    make(asked)
    archive = downloaded(ada, asked)
    assert lines(archive, f"messages/{private}.ndjson") == told(ada, private)
    assert keys(f"{ada.id}/export/") == [f"{ada.id}/export/{asked}.zip"]


def left_alone(**more: Any) -> None:
    """Have exports look as if a while had passed."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE archive_export SET seen_at = seen_at - interval '2 minutes'")
    if more:
        Export.objects.update(**more)


def test_the_minutely_task_begins_again_what_nobody_is_at_and_gives_up_in_the_end(
    world, monkeypatch
):
    ada = world[0]
    begun: list[Any] = []
    monkeypatch.setattr(export_making, "enqueue_export", begun.append)
    asked = ask(ada)["export_id"]
    assert export_making.tend_exports()["begun"] == 0, "it was asked for a moment ago"
    for _ in range(export_making.MOST_ATTEMPTS):
        assert run(asked, ARCHIVE_DIE_AT="export.claimed") == -9
        left_alone()
        assert export_making.tend_exports()["begun"] == 1
    assert make(asked) == "failed"
    found = shown(ada, asked)
    assert found["state"] == "failed"
    assert "never came to its end" in found["detail"]
    assert ada.post("/export").status_code == 202, "another may be asked for"


def test_two_workers_make_one(world):
    ada = world[0]
    asked = ask(ada)["export_id"]
    assert max(at_once(2, lambda _: make(asked))) == "ready"
    assert Export.objects.get().attempt == 1


def test_after_a_day_it_is_gone(world):
    ada = world[0]
    asked = ask(ada)["export_id"]
    make(asked)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE archive_export SET asked_at = asked_at - interval '25 hours',"
            " expires_at = expires_at - interval '24 hours'"
        )
    assert ada.client.get(f"/exports/{asked}/").status_code == 404
    assert ada.client.get(f"/exports/{asked}/download/").status_code == 404
    code = "from archive import export_making as making; making.tend_exports()"
    killed = command("shell", "--no-imports", "-c", code, ARCHIVE_DIE_AT="export.deleted")
    assert killed.returncode == -9
    assert Export.objects.count() == 1, "its row goes after its object"
    assert export_making.tend_exports()["deleted"] == 1
    assert keys(f"{ada.id}/export/") == []
    assert not Export.objects.exists()
    assert ada.post("/export").status_code == 202


def test_one_past_its_day_that_nobody_has_deleted_yet_makes_room_for_another(world):
    ada = world[0]
    asked = ask(ada)["export_id"]
    make(asked)
    left_alone(expires_at=moment("2026-01-01 00:00:00"))
    again = ada.post("/export")
    assert (again.status_code, again.json()["export_id"] == asked) == (202, False)


def test_a_lost_file_says_so_and_another_may_be_asked_for(world):
    ada = world[0]
    asked = ask(ada)["export_id"]
    make(asked)
    store.patient.delete(keys(f"{ada.id}/export/"))
    assert ada.client.get(f"/exports/{asked}/download/").status_code == 404
    assert shown(ada, asked)["state"] == "failed"
    assert ada.post("/export").status_code == 202


def test_what_can_not_be_read_whole_is_never_passed_for_the_whole(world):
    ada, private = world[0], world[3]
    asked = ask(ada)["export_id"]
    key = next(key for key in keys(f"{ada.id}/") if key.endswith(str(private)))
    overwrite(key, b"damaged")
    assert make(asked) == "to be tried again"
    found = shown(ada, asked)
    assert (found["state"], found["download"]) == ("waiting", None)
    assert found["detail"]
    assert keys(f"{ada.id}/export/") == []
    assert verify(repair=True)["ok"]
    assert make(asked) == "ready"


def last_attempt(person: Person) -> str:
    """Ask for an export that has been tried in vain but for one time more."""
    asked: str = ask(person)["export_id"]
    Export.objects.update(attempt=export_making.MOST_ATTEMPTS - 1)
    return asked


def lose(*which: str) -> None:
    for key in which:
        store.patient.client.delete_object(Bucket=settings.S3_BUCKET, Key=key)


def test_what_is_lost_for_good_is_named_and_the_rest_is_in_it(world):
    ada, bob, _, private, group_id = world
    before = told(ada, private)
    lost = [f"{person.id}/2026/007/04/{private}" for person in (ada, bob)]
    gone = [message["seq"] for message in before if message["sent_at"].startswith("2026-01-07T04")]
    lose(*lost)
    asked = ask(ada)["export_id"]
    for _ in range(export_making.MOST_ATTEMPTS - 1):
        assert make(asked) == "to be tried again"
        assert shown(ada, asked)["download"] is None
    assert make(asked) == "ready"
    found = shown(ada, asked)
    assert found["messages"] == found["total"] - len(gone)
    assert found["detail"].startswith(f"{len(gone)} messages are lost in cold storage")
    archive = downloaded(ada, asked)
    assert lines(archive, "lost.ndjson") == [
        {"chat_id": str(private), "first_seq": gone[0], "last_seq": gone[-1]}
    ]
    there = lines(archive, f"messages/{private}.ndjson")
    assert there == [message for message in before if message["seq"] not in gone]
    assert lines(archive, f"messages/{group_id}.ndjson") == told(ada, group_id)


def test_what_is_damaged_for_good_gets_not_a_line_into_it(world):
    ada, bob, _, private, _ = world
    before = told(ada, private)
    for person in (ada, bob):
        key = f"{person.id}/2026/007/03/{private}"
        plain = read(key)["plain"]
        overwrite(key, gzip.compress(plain.replace(b"text 5", b"text 6")))
    asked = last_attempt(ada)
    assert make(asked) == "ready"
    archive = downloaded(ada, asked)
    (named,) = lines(archive, "lost.ndjson")
    there = lines(archive, f"messages/{private}.ndjson")
    assert there == [message for message in before if message["seq"] > named["last_seq"]]
    assert named["first_seq"] == 1


def test_what_another_has_a_copy_of_is_no_loss(world):
    ada, _, _, private, _ = world
    before = told(ada, private)
    lose(f"{ada.id}/2026/007/04/{private}")
    asked = last_attempt(ada)
    assert make(asked) == "ready"
    archive = downloaded(ada, asked)
    assert lines(archive, f"messages/{private}.ndjson") == before
    assert "lost.ndjson" not in archive.namelist()
    assert shown(ada, asked)["detail"] == ""


def test_of_a_bucket_that_was_emptied_it_holds_what_the_database_has(world):
    ada, _, _, private, _ = world
    lose(*keys())
    asked = last_attempt(ada)
    assert make(asked) == "ready"
    archive = downloaded(ada, asked)
    last = lines(archive, f"messages/{private}.ndjson")
    assert [message["seq"] for message in last][-1] == 41
    (named,) = [one for one in lines(archive, "lost.ndjson") if one["chat_id"] == str(private)][-1:]
    assert named["last_seq"] == last[0]["seq"] - 1


def test_a_bucket_that_is_away_is_no_loss_at_the_last_attempt_either(world):
    ada = world[0]
    asked = last_attempt(ada)
    assert run(asked, S3_ENDPOINT_URL="http://127.0.0.1:9") == 0
    assert shown(ada, asked)["state"] == "waiting"
    assert make(asked) == "failed"


def test_a_bucket_that_goes_away_meanwhile_is_waited_for(world):
    ada = world[0]
    asked = ask(ada)["export_id"]
    assert run(asked, S3_ENDPOINT_URL="http://127.0.0.1:9") == 0
    assert shown(ada, asked)["state"] == "waiting"
    with bad_network(
        lambda method, path: "flip" if "/export/" in path and method == "GET" else None
    ) as address:
        assert run(asked, S3_ENDPOINT_URL=address) == 0
    assert shown(ada, asked)["state"] == "waiting", "other bytes than were written are not ready"
    assert make(asked) == "ready"


def test_an_erased_text_takes_back_the_exports_that_hold_it(world):
    ada, bob, eve, private, _ = world
    asked = {person.id: ask(person)["export_id"] for person in (ada, bob, eve)}
    for export_id in asked.values():
        make(export_id)
    assert erase.erase_message(chat_id=private, seq=3)["ok"]
    for person in (ada, bob):
        assert shown(person, asked[person.id])["state"] == "withdrawn"
        assert person.client.get(f"/exports/{asked[person.id]}/download/").status_code == 409
        assert keys(f"{person.id}/export/") == []
    assert shown(eve, asked[eve.id])["state"] == "ready"
    again = ask(ada)["export_id"]
    make(again)
    third = lines(downloaded(ada, again), f"messages/{private}.ndjson")[2]
    assert (third["kind"], third["text"]) == ("removed", "")


def test_one_that_is_withdrawn_while_it_is_made_leaves_no_file(world, monkeypatch):
    ada = world[0]
    asked = ask(ada)["export_id"]
    put = store.patient.put_file

    def put_and_withdraw(*arguments: Any) -> None:
        export_making.withdraw_exports(of=Q(user=ada.id))
        put(*arguments)

    monkeypatch.setattr(store.patient, "put_file", put_and_withdraw)
    assert make(asked) == "overtaken"
    assert keys(f"{ada.id}/export/") == []
    assert shown(ada, asked)["state"] == "withdrawn"


def test_deleting_a_users_prefix_deletes_it_too(world):
    ada = world[0]
    asked = ask(ada)["export_id"]
    make(asked)
    assert erase.erase_user(user_id=ada.id)["ok"]
    assert keys(f"{ada.id}/") == []
    assert not Export.objects.filter(state__in=Export.LIVE).exists()


def test_no_sweep_and_no_check_takes_it_for_a_stray_unless_it_is_one(world):
    ada, bob = world[:2]
    asked = ask(ada)["export_id"]
    make(asked)
    old = "01980f3e-7b1c-7c3a-9d55-0123456789ab"
    body = b"of a database that was lost"
    store.patient.client.put_object(Bucket="strata", Key=f"{bob.id}/export/{old}.zip", Body=body)
    young = export.key_of_export(bob.id, new_id())
    store.patient.client.put_object(Bucket="strata", Key=young, Body=body)
    purge.purge()
    assert len(keys(f"{bob.id}/export/")) == 2
    report = purge.purge(sweep=True)
    assert (report["stray_exports"], report["stray_exports_removed"], report["foreign"]) == (
        2,
        1,
        0,
    )
    assert keys(f"{bob.id}/export/") == [young]
    assert keys(f"{ada.id}/export/") == [f"{ada.id}/export/{asked}.zip"]
    assert backups.backup(now=True)["ok"]
    assert verify()["ok"]


def test_trim_while_it_is_made_changes_nothing_in_it(world, monkeypatch):
    ada, bob, _, private, _ = world
    for number in range(30):
        bob.say(ada, f"more {number}")
    date(private, every(10, 31, "2026-02-01 00:00:00"), first=41)
    backups.backup()
    expected = told(ada, private)
    monkeypatch.setattr(export_zip, "PORTION", 7)
    found = []
    for place, portion in enumerate(export_zip.messages_of(private, ada.id)):
        found += [json.loads(line) for line in portion]
        if place == 2:
            trim.trim()
    assert found == expected


def test_its_page_in_a_browser_shows_how_far_it_is(world):
    ada = world[0]
    accept: Any = {"HTTP_ACCEPT": "text/html"}
    asked = ask(ada)["export_id"]
    page = ada.client.get(f"/exports/{asked}/", **accept)
    assert page.status_code == 200
    assert "waiting" in page.content.decode()
    assert "/export" in ada.client.get("/", **accept).content.decode()
    listed = ada.client.get("/exports/", **accept)
    assert listed.status_code == 200
    for path in (f"/exports/{asked}/", f"/exports/{asked}/download/"):
        assert f'href="{path}"' in listed.content.decode()


def test_what_is_no_export_key_is_none():
    id_ = "01980f3e-7b1c-7c3a-9d55-0123456789ab"
    assert export.parse_export_key(f"{id_}/export/{id_}.zip")
    for key in (f"{id_}/export/{id_}", f"{id_}/other/{id_}.zip", f"{id_}/export/x.zip", id_, ""):
        assert export.parse_export_key(key) is None


def test_finishing_erasures_tallies_nothing_of_exports():
    tally = Tally()
    erase.finish(tally)
    assert tally.counts == {}
