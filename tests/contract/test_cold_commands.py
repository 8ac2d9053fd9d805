"""`manage.py backup`, `verify`, `trim`, `purge`, `erase`, `drill`: what they do, say and end with."""

import gzip
import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from tests.contract.cache import flush
from tests.contract.conftest import IN_DATABASE
from tests.http import JSON, Follower, Person, at_once
from tests.past.stack import Object, PastStack

DAYS = 90


@pytest.fixture
def talkers(past: PastStack) -> list[Person]:
    return past.server.people("ann", "ben", "cid")


def talk(sender: Person, other: Person, count: int, start: int = 1) -> list[JSON]:
    return [sender.send(other, f"text {n}", f"id-{n}").ok(201) for n in range(start, start + count)]


def seen(messages: list[JSON], person: Person) -> list[JSON]:
    """Return messages as a person is to see them."""
    return [
        each if each["sender_id"] == person.user_id else {**each, "client_id": None}
        for each in messages
    ]


def state(past: PastStack) -> object:
    """Return all that a run could change: objects, rows."""
    tables = [
        name
        for (name,) in past.sql(
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE relkind = 'r' AND nspname = 'public' AND relname ~ '^(messaging|archive)_'"
            " ORDER BY 1"
        )
    ]
    return (
        {key: past.get(key).raw for key in past.keys("")},
        {name: sorted(map(repr, past.sql(f"SELECT * FROM {name}"))) for name in tables},
    )


@pytest.fixture
def nobody_else(past: PastStack) -> Iterator[None]:
    """Nothing goes on by itself: the sweeper notes how late messages are dated."""
    past.live.pause("sweeper")
    yield
    past.live.resume("sweeper")


@pytest.fixture
def damaged(past: PastStack, talkers: list[Person]) -> Iterator[Object]:
    """An object of Ann's whose bytes are not what was written."""
    chat = talk(talkers[0], talkers[1], 5)[0]["chat_id"]
    past.clock.next_hour()
    past.do("backup")
    key = next(key for key in past.keys(talkers[0].user_id) if key.endswith(chat))
    held = past.get(key)
    past.put(key, held.raw[:-20], held)
    yield held
    past.put(key, held.raw, held)


# Backup, trim, verify ----------------------------------------------------------------------------


def test_a_dry_run_changes_nothing(
    past: PastStack, talkers: list[Person], nobody_else: None
) -> None:
    talk(talkers[0], talkers[1], IN_DATABASE + 8)
    past.clock.next_hour()
    before = state(past)
    report = past.do("backup", "--dry-run")
    assert report["ok"]
    assert state(past) == before
    past.do("backup")
    before = state(past)
    for command in (
        ("trim", "--dry-run"),
        ("purge", "--dry-run"),
        ("restore", "--all", "--dry-run"),
        ("restore", "--user", talkers[0].user_id, "--dry-run"),
    ):
        past.do(*command)
        assert state(past) == before, command


def test_wrong_use_ends_with_2_and_says_so(past: PastStack) -> None:
    some = "018deef0-8c70-73ae-9d78-b0246e74662b"
    wrong = [
        ("backup", "--hour", "yesterday"),
        ("backup", "--hour", "2024-13-01T00"),
        ("backup", "--hour", "2025-02-29T00"),
        ("backup", "--nonsense"),
        ("backup", "--hour", "2199-01-01T00"),
        ("verify", "--sample", "0"),
        ("verify", "--sample", "x"),
        ("restore",),
        ("restore", "--chat", "x"),
        ("restore", "--all", "--user", some),
        ("trim", "now"),
        ("erase",),
        ("erase", "--chat", some),
        ("erase", "--chat", some, "--seq", "x"),
    ]
    for ended in at_once([partial(past.manage, *arguments) for arguments in wrong], threads=2):
        assert ended.status == 2, ended
        assert ended.err.strip()
        assert "Traceback" not in ended.err


def test_each_explains_itself(past: PastStack) -> None:
    names = ["backup", "verify", "trim", "purge", "restore", "drill", "erase"]
    for ended in at_once([partial(past.manage, name, "--help") for name in names], threads=2):
        assert ended.status == 0
        assert len(ended.out.split()) > 60
        assert "--json" in ended.out


@pytest.mark.parametrize("command", ["backup", "verify", "trim", "purge"])
def test_without_s3_a_run_fails_with_1_and_one_line(
    past: PastStack, talkers: list[Person], command: str
) -> None:
    talk(talkers[0], talkers[1], IN_DATABASE + 8)
    past.clock.next_hour()
    if command != "backup":
        past.do("backup")
    if command == "purge":
        past.clock.move(past.clock.now() + timedelta(days=DAYS + 1))
    past.gateway.stop()
    try:
        ended = past.manage(command, "--json")
    finally:
        past.gateway.start()
    assert ended.status == 1, ended
    assert ended.report["ok"] is False
    assert "Traceback" not in ended.err
    # And what was not done is done by the next run.
    past.do(command)


def test_trim_takes_nothing_that_is_not_right_in_everyones_copy(
    past: PastStack, talkers: list[Person]
) -> None:
    ann, ben, _ = talkers
    sent = talk(ann, ben, 8)
    past.clock.next_hour()
    sent += talk(ann, ben, IN_DATABASE + 8, 9)
    past.clock.next_hour()
    past.do("backup")
    chat = sent[0]["chat_id"]
    keys = [key for key in past.keys(ben.user_id) if key.endswith(chat)]
    held = past.get(keys[0])
    past.put(keys[0], gzip.compress(held.plain[:-3] + b"!}\n"), held)
    ended = past.manage("trim", "--json")
    if past.get(keys[0]) != held:
        assert ended.status == 1, ended
        rows = past.sql("SELECT min(seq) FROM messaging_message WHERE chat_id = %s", chat)
        assert rows == [(1,)], "trimmed, though a member's copy was not what was written"
        past.do("verify", "--repair")
        assert past.get(keys[0]) == held
        past.do("trim")
    rows = past.sql("SELECT min(seq) FROM messaging_message WHERE chat_id = %s", chat)
    assert rows == [(17,)]
    assert ben.history(chat) == seen(sent, ben)


def test_trim_leaves_the_hour_still_running(past: PastStack, talkers: list[Person]) -> None:
    ann, ben, _ = talkers
    past.clock.next_hour()
    chat = talk(ann, ben, IN_DATABASE + 8)[0]["chat_id"]
    past.do("backup", "--now")
    past.do("trim")
    rows = past.sql("SELECT min(seq) FROM messaging_message WHERE chat_id = %s", chat)
    assert rows == [(1,)]


def test_trim_without_a_backup_takes_nothing(past: PastStack, talkers: list[Person]) -> None:
    ann, ben, _ = talkers
    chat = talk(ann, ben, IN_DATABASE + 8)[0]["chat_id"]
    past.clock.next_hour()
    past.do("trim")
    rows = past.sql("SELECT min(seq) FROM messaging_message WHERE chat_id = %s", chat)
    assert rows == [(1,)]
    past.do("backup")


def test_verify_names_what_is_wrong_and_ends_with_1(past: PastStack, damaged: Object) -> None:
    ended = past.manage("verify", "--json")
    assert ended.status == 1, ended
    assert damaged.key in ended.out
    past.do("verify", "--repair")
    assert past.get(damaged.key) == damaged
    past.do("verify")


@pytest.mark.parametrize("how", ["deleted", "swapped", "emptied", "other metadata", "a bomb"])
def test_verify_finds_and_mends_every_damage(
    past: PastStack, talkers: list[Person], how: str
) -> None:
    ann, ben, _ = talkers
    sent = talk(ann, ben, 6)
    chat = sent[0]["chat_id"]
    past.clock.next_hour()
    talk(ann, ben, IN_DATABASE, 7)
    past.clock.next_hour()
    past.do("backup")
    past.do("trim")  # from now on the other's copy is all there is to mend from
    key, other = (
        next(key for key in past.keys(person.user_id) if key.endswith(chat))
        for person in (ben, ann)
    )
    held, anns = past.get(key), past.get(other)
    assert held.plain != anns.plain
    if how == "deleted":
        past.delete(key)
    elif how == "swapped":
        past.put(key, anns.raw, anns)
    elif how == "emptied":
        past.put(key, b"", held)
    elif how == "a bomb":
        past.put(key, gzip.compress(b"{}\n" * 20_000_000), held)
    else:
        wrong = {**held.metadata, "last-seq": "999"}
        past.put(key, held.raw, Object(key, held.raw, wrong, held.content_type, "gzip"))
    flush(past.live.environment()["REDIS_URL"])
    page = ben.messages(chat, before=7, limit=6)
    if page.status == 200:
        assert page.body["results"] == seen(sent, ben), "a reader got wrong lines"
    else:
        page.refused(503, "archive_unavailable")
    assert ann.messages(chat, before=7, limit=6).ok()["results"] == sent
    ended = past.manage("verify", "--json")
    assert ended.status == 1, ended
    assert key in ended.out
    assert other not in ended.out
    past.do("verify", "--repair")
    assert past.get(key) == held
    past.do("verify")
    assert ben.history(chat)[:6] == seen(sent, ben)


def test_a_backup_that_comes_across_a_damaged_object_writes_it_again(
    past: PastStack, talkers: list[Person], damaged: Object
) -> None:
    hour = datetime.strptime("/".join(damaged.key.split("/")[1:4]), "%Y/%j/%H").replace(tzinfo=UTC)
    past.do("backup", "--hour", f"{hour:%Y-%m-%dT%H}")
    assert past.get(damaged.key) == damaged


def test_ctrl_c_ends_a_run_and_the_next_one_finishes(
    past: PastStack, talkers: list[Person]
) -> None:
    ann, ben, _ = talkers
    for _ in range(3):
        chat = talk(ann, ben, 3, past.clock.now().hour * 10 + 1)[0]["chat_id"]
        past.clock.next_hour()
    process = past.start("backup", "--json")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    past.do("backup")
    held = [
        m for key in past.keys(ann.user_id) if key.endswith(chat) for m in past.get(key).messages
    ]
    assert held == ann.history(chat)


# Retention ---------------------------------------------------------------------------------------


def test_purge_takes_what_is_older_than_z_and_start_says_so(
    past: PastStack, talkers: list[Person]
) -> None:
    ann, ben, _ = talkers
    old = talk(ann, ben, 8)
    chat = old[0]["chat_id"]
    old_hour = past.clock.now().replace(minute=0, second=0, microsecond=0)
    past.clock.move(old_hour + timedelta(days=1, minutes=10))
    young = talk(ann, ben, 4, 9)
    past.clock.next_hour()
    young += talk(ann, ben, IN_DATABASE, 13)
    past.clock.next_hour()
    past.do("backup")
    past.do("trim")
    cursor = ben.poll().ok()["cursor"]
    # The last minute of the last day: nothing of it may go yet.
    past.clock.move(old_hour + timedelta(days=DAYS, hours=1, minutes=-2))
    past.do("purge")
    assert ben.history(chat) == seen(old + young, ben)
    past.clock.move(old_hour + timedelta(days=DAYS, hours=1, minutes=10))
    due = past.do("purge", "--dry-run")
    assert ben.history(chat) == seen(old + young, ben)
    report = past.do("purge")
    assert report["ok"]
    assert due["due"] == report["due"] >= 2
    for person in (ann, ben):
        assert person.history(chat) == seen(young, person)
        body = person.poll().ok()
        entry = next(each for each in body["chats"] if each["chat_id"] == chat)
        assert (entry["start"], entry["end"]) == (9, young[-1]["seq"])
        assert person.messages(chat, before=9).ok() == {
            "next": None, "previous": person.messages(chat, before=9).ok()["previous"], "results": []
        }  # fmt: skip
        assert person.messages(chat, after=0, limit=2).ok()["results"] == seen(young[:2], person)
        path = f"{old_hour:%Y/%j/%H}/{chat}"
        assert not past.keys(f"{person.user_id}/{path}")
        person.get(f"/archive/{path}/").refused(404)
    late = Follower(ben, cursor=cursor)
    assert late.until_quiet().get(chat, []) == []
    # A backup does not bring back what has expired.
    past.do("backup")
    past.do("backup", "--hour", f"{old_hour:%Y-%m-%dT%H}")
    assert not past.keys(f"{ann.user_id}/{old_hour:%Y/%j/%H}/")


def test_a_stale_cursor_from_before_what_expired_gets_what_is_left(
    past: PastStack, talkers: list[Person]
) -> None:
    ann, ben, _ = talkers
    cursor = ben.poll().ok()["cursor"]
    sent = talk(ann, ben, 8)
    chat = sent[0]["chat_id"]
    half = Follower(ben, 3, cursor)
    half.once()
    past.clock.move(past.clock.now() + timedelta(days=2))
    sent += talk(ann, ben, IN_DATABASE + 4, 9)
    past.clock.next_hour()
    past.do("backup")
    past.do("trim")
    past.clock.move(past.clock.now() + timedelta(days=DAYS - 1))
    past.do("purge")
    assert ben.history(chat) == seen(sent[8:], ben)
    for follower in (half, Follower(ben, 3, cursor)):
        had = list(follower.got.get(chat, []))
        follower.until_quiet()
        assert follower.got[chat] == had + seen(sent[8:], ben)


# Erase -------------------------------------------------------------------------------------------


def test_an_erased_message_is_out_of_all_tiers_and_keeps_its_seq(
    past: PastStack, talkers: list[Person]
) -> None:
    ann, ben, cid = talkers
    group = ann.group(ben, cid)["group_id"]
    secret = "what nobody is to read"
    before = ann.history(group)
    for n in range(8):
        ann.send_group(group, secret if n == 3 else f"{n}", f"id-{n}").ok(201)
    cursors = {person.user_id: person.poll().ok()["cursor"] for person in talkers}
    past.clock.next_hour()
    for n in range(IN_DATABASE):
        ben.send_group(group, f"later {n}").ok(201)
    trimmed = len(before) + 4
    hot = ann.send_group(group, secret).ok(201)["seq"]
    past.clock.next_hour()
    past.do("backup")
    past.do("trim")
    for person in talkers:
        person.history(group)
    for seq in (trimmed, hot):
        past.do("erase", "--chat", group, "--seq", str(seq))
    past.do("backup")
    for person in talkers:
        history = person.history(group)
        removed = {m["seq"]: (m["text"], set(m)) for m in history if m["kind"] == "removed"}
        assert removed == dict.fromkeys((trimmed, hot), ("", set(before[0])))
        assert secret not in {message["text"] for message in history}
        late = person.poll(cursors[person.user_id]).ok()["chats"][0]["messages"]
        assert late == [m for m in history if m["seq"] > trimmed + 4]
    for key in past.keys(""):
        each = past.get(key)
        assert secret.encode() not in (each.plain if each.raw[:2] == b"\x1f\x8b" else each.raw)
        if key.endswith(group):
            assert each.sha256 == each.metadata["sha256"]
            assert len(each.messages) == int(each.metadata["count"])
    past.do("verify")
    # Again is no harm; what is not there is a failure.
    past.do("erase", "--chat", group, "--seq", str(trimmed))
    for arguments in (("--chat", group, "--seq", "9999"), ("--chat", ann.user_id, "--seq", "1")):
        assert past.manage("erase", *arguments, "--json").status == 1


def test_an_erased_user_is_gone_and_others_keep_their_copies(
    past: PastStack, talkers: list[Person]
) -> None:
    ann, ben, _ = talkers
    dan = past.server.person("dan", "correct horse battery 9")
    chat = talk(dan, ann, IN_DATABASE + 5)[0]["chat_id"]
    talk(ann, ben, 3)
    past.clock.next_hour()
    past.do("backup")
    past.do("trim")
    before = ann.history(chat)
    past.do("erase", "--user", dan.user_id)
    past.do("backup")
    assert past.keys(f"{dan.user_id}/") == []
    assert ann.history(chat) == before
    dan.get("/users/me/").refused(401)
    past.server.post("/login", username=dan.username, password=dan.password).refused(401)
    shown = ann.get(f"/users/{dan.user_id}/")
    assert dan.username not in json.dumps(shown.body)
    newest = max(key for key in past.keys("_system/") if key.endswith("/manifest"))
    for key in past.keys(newest.rpartition("/")[0]):
        each = past.get(key)
        plain = each.plain if each.raw[:2] == b"\x1f\x8b" else each.raw
        assert dan.username.encode() not in plain
    past.do("verify")


# Drill, one line ---------------------------------------------------------------------------------


def test_a_drill_says_what_a_loss_would_cost(past: PastStack, talkers: list[Person]) -> None:
    ann, ben, _ = talkers
    talk(ann, ben, 3)
    past.clock.next_hour()
    past.do("backup")
    # What is past retention, but among the last ones of its chat, has no object to come back from.
    ((expired,),) = past.sql(
        "SELECT count(*) FROM messaging_message m JOIN archive_segment s"
        " ON s.chat_id = m.chat_id AND m.seq BETWEEN s.first_seq AND s.last_seq"
        " WHERE s.purged_at IS NOT NULL"
    )
    talk(ann, ben, 2, 4)
    report = past.do("drill")
    assert report["ok"]
    assert report["lost"] == expired + 2, report


def test_json_is_one_line_with_what_was_done(past: PastStack) -> None:
    for command in ("backup", "trim", "verify", "purge"):
        ended = past.manage(command, "--json")
        report = ended.ok()
        assert report["command"] == command
        assert report["ok"] is True
        # And one line in the log.
        assert sum(f"{command}:" in line for line in ended.err.splitlines()) == 1, ended.err
