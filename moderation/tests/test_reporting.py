"""`POST /report_message`, `POST /report_user`, `GET /reports/`."""

import threading
from uuid import uuid4

import pytest
from django.db import connection

from accounts.tests.factories import client_of, fault
from archive.backup import backup
from archive.trim import trim
from groups.moderating import remove_member
from messaging.models import Message
from moderation import cases
from moderation.models import Case, Report
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
KEYS = {
    "report_id",
    "kind",
    "user_id",
    "chat_id",
    "seq",
    "reason",
    "comment",
    "state",
    "created_at",
}


@pytest.fixture
def chat(ann, ben):
    """A private chat: ann writes 1, ben 2."""
    ann.say(ben, "hello")
    ben.say(ann, "buy <b>this</b>\n ")
    return str(Message.objects.earliest("pk").chat_id)


def report(person, chat, seq=2, reason="spam", **more):
    return person.post("/report_message", chat_id=chat, seq=seq, reason=reason, **more)


def report_user(person, user_id, reason="spam", **more):
    return person.post("/report_user", user_id=str(user_id), reason=reason, **more)


def test_a_message_is_reported_as_it_was(ann, ben, chat):
    answer = report(ann, chat, comment=" what\u0301\n")
    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == KEYS
    assert (body["kind"], body["user_id"], body["chat_id"], body["seq"]) == (
        "message",
        str(ben.id),
        chat,
        2,
    )
    assert (body["reason"], body["comment"], body["state"]) == ("spam", " what\u0301\n", "open")
    case = Case.objects.get()
    message = Message.objects.get(seq=2)
    assert (case.text, case.sent_at) == (message.text, message.sent_at)
    assert (case.user_id, case.report_count) == (ben.id, 1)


def test_again_by_the_same_is_the_same_report_with_another_reason_too(ann, chat):
    first = report(ann, chat).json()
    again = report(ann, chat, reason="violence", comment="more")
    assert (again.status_code, again.json()) == (200, first)
    assert Report.objects.count() == 1


def test_others_reports_of_the_same_message_are_one_case(ann, ben, cid):
    group = str(ann.group(ben, cid))
    ben.tell(group, "spam")
    ids = {report(person, group).json()["report_id"] for person in (ann, cid)}
    assert len(ids) == 2
    assert Case.objects.get().report_count == 2


@pytest.mark.parametrize("nothing", [None, "", " ", " \n\u3000", " " * 5000])
def test_a_comment_is_not_needed_and_an_empty_one_is_none(ann, chat, nothing):
    answer = report(ann, chat, comment=nothing)
    assert (answer.status_code, answer.json()["comment"]) == (201, None)
    answer = report_user(ann, Person("eve").id, comment=nothing)
    assert (answer.status_code, answer.json()["comment"]) == (201, None)
    assert set(Report.objects.values_list("comment", flat=True)) == {None}


def test_what_one_can_not_see_is_not_found(ann, ben, cid, chat):
    assert fault(report(cid, chat)) == (404, "not_found", "chat_id")
    assert fault(report(ann, str(uuid4()))) == (404, "not_found", "chat_id")
    for seq in (3, 10**18):
        assert fault(report(ann, chat, seq=seq)) == (404, "not_found", "seq")
    group = str(ann.group(ben))
    ben.tell(group, "before cid")
    ann.post("/add_user_to_group", group_id=group, user_id=str(cid.id))
    assert fault(report(cid, group)) == (404, "not_found", "seq")
    assert Case.objects.count() == 0


def test_who_has_left_reports_what_they_saw(ann, ben, cid):
    group = ann.group(ben, cid)
    ben.tell(group, "spam")
    remove_member(group_id=group, user_id=cid.id, reason="")
    ben.tell(group, "later")
    assert report(cid, str(group)).status_code == 201
    assert fault(report(cid, str(group), seq=4)) == (404, "not_found", "seq")


def test_one_s_own_message_system_messages_and_redacted_ones_can_not_be(ann, ben, chat):
    assert fault(report(ben, chat)) == (400, "report_self", "seq")
    group = str(ann.group(ben))
    assert fault(report(ben, group, seq=1)) == (400, "not_reportable", "seq")
    Message.objects.filter(seq=1, kind="text").update(kind="removed", text="")
    from common.cache import cache

    cache.execute("FLUSHDB")
    assert fault(report(ben, chat, seq=1)) == (400, "not_reportable", "seq")


def test_a_message_in_cold_storage_is_reported_too(ann, ben, chat, settings):
    settings.HOT_MESSAGES_PER_CHAT = settings.DB_MESSAGES_PER_CHAT = 1
    for number in range(4):
        ann.say(ben, f"more {number}")
    from datetime import timedelta

    from django.db.models import F

    from messaging.models import Chat

    Message.objects.update(sent_at=F("sent_at") - timedelta(hours=3))
    Chat.objects.update(last_at=F("last_at") - timedelta(hours=3))
    assert backup()["ok"]
    assert trim()["ok"]
    assert not Message.objects.filter(seq=2).exists()
    from common.cache import cache

    cache.execute("FLUSHDB")
    assert report(ann, chat).status_code == 201
    assert Case.objects.get().text == "buy <b>this</b>\n "


def test_a_user_is_reported(ann, ben):
    answer = report_user(ann, ben.id, reason="harassment")
    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == KEYS
    assert (body["kind"], body["user_id"], body["chat_id"], body["seq"]) == (
        "user",
        str(ben.id),
        None,
        None,
    )
    again = report_user(ann, ben.id)
    assert (again.status_code, again.json()) == (200, body)


def test_nobody_reports_themself_or_nobody(ann):
    assert fault(report_user(ann, ann.id)) == (400, "report_self", "user_id")
    assert fault(report_user(ann, uuid4())) == (404, "not_found", "user_id")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"reason": "dull"}, "reason"),
        ({"reason": None}, "reason"),
        ({"chat_id": "x"}, "chat_id"),
        ({"seq": "1"}, "seq"),
        ({"seq": 0}, "seq"),
        ({"seq": 2**63}, "seq"),
        ({"seq": True}, "seq"),
        ({"comment": 5}, "comment"),
        ({"comment": "x" * 4097}, "comment"),
        ({"comment": "a\0"}, "comment"),
    ],
)
def test_what_is_malformed_is_a_400_that_names_the_field(ann, chat, change, field):
    body = {"chat_id": chat, "seq": 2, "reason": "spam"} | change
    answer = ann.post("/report_message", **body)
    assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, field)


def test_a_token_is_needed():
    for path in ("/report_message", "/report_user"):
        assert client_of().post(path, {}, format="json").status_code == 401
    assert client_of().get("/reports/").status_code == 401


def test_after_a_decision_a_user_can_be_reported_anew_and_a_message_not(ann, ben, chat, mod):
    first, second = report(ann, chat).json(), report_user(ann, ben.id).json()
    for case in Case.objects.all():
        cases.dismiss_case(case_id=case.pk, note="no", by=mod)
    again = report(ann, chat)
    assert (again.status_code, again.json()) == (200, first | {"state": "dismissed"})
    anew = report_user(ann, ben.id)
    assert anew.status_code == 201
    assert anew.json()["report_id"] != second["report_id"]


def test_one_s_own_reports_are_listed_latest_first_with_their_state_and_no_moderator(
    ann, ben, cid, chat, mod
):
    report(ann, chat)
    report_user(ann, cid.id)
    report_user(ben, cid.id)
    cases.take_case(case_id=Case.objects.get(kind="message").pk, by=mod)
    page = ann.client.get("/reports/?limit=1").json()
    assert [row["kind"] for row in page["results"]] == ["user"]
    assert page["next"]
    rest = ann.client.get(page["next"]).json()
    assert [(row["kind"], row["state"]) for row in rest["results"]] == [("message", "in_progress")]
    assert rest["next"] is None
    everything = str(ann.client.get("/reports/").json())
    assert "mod" not in everything.replace("moderat", "")
    assert str(ben.id) in everything  # as the reported
    assert len(ann.client.get("/reports/").json()["results"]) == 2


def test_so_many_reports_of_one_user_wait_for_a_decision(ann, ben, chat, mod, settings):
    settings.OPEN_REPORTS_PER_USER = 2
    others = [Person() for _ in range(3)]
    first = report_user(ann, others[0].id).json()
    assert report(ann, chat).status_code == 201
    refused = report_user(ann, others[1].id)
    assert fault(refused) == (409, "too_many_open_reports", None)
    assert report(ben, chat, seq=1).status_code == 201, "another's are their own"
    assert report(ann, chat).status_code == 200, "the same once more is no new one"
    assert Case.objects.filter(user=others[1].id).count() == 0
    case = Case.objects.get(user=first["user_id"])
    cases.dismiss_case(case_id=case.pk, note="no", by=mod)
    assert report_user(ann, others[1].id).status_code == 201
    assert report_user(ann, others[2].id).status_code == 409


def test_the_reported_learns_nothing(ann, ben, chat):
    before = {path: ben.client.get(path).content for path in ("/chats/", "/users/me/", "/blocks/")}
    ben.drain()
    report(ann, chat)
    report_user(ann, ben.id)
    assert ben.client.get("/reports/").json()["results"] == []
    assert ben.poll()["chats"] == []
    assert before == {path: ben.client.get(path).content for path in before}


def test_twenty_at_once_make_one_case(ann, ben, transactional_db):
    people = [Person() for _ in range(10)]
    answers: list[int] = []

    def say(person):
        answers.extend(report_user(person, ben.id).status_code for _ in range(2))
        connection.close()

    threads = [threading.Thread(target=say, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] * 10 + [201] * 10
    case = Case.objects.get()
    assert case.report_count == Report.objects.filter(case=case).count() == 10
