"""A case is taken, decided and explained; two moderators at once are two after another."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from accounts.rights import NotToThem
from archive.backup import backup
from archive.erase import erase_user
from archive.trim import trim
from audit import chain
from audit.models import Entry
from common.cache import cache
from common.errors import NotFound, Unavailable
from messaging.models import Chat, Membership, Message
from moderation import cases, context, redaction, services
from moderation.errors import CaseClosed, CaseTaken, NotApplicable, ReasonMissing
from moderation.models import Case, Measure, Redaction, State
from moderation.roles import Role
from moderation.tests.conftest import staff

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def group(ann, ben, cid):
    group = ann.group(ben, cid)
    ben.tell(group, "buy this")
    return group


@pytest.fixture
def case(ann, group):
    """A message of ben's in a group, seq 2, reported by ann."""
    report, _ = services.report_message(reporter_id=ann.id, chat_id=group, seq=2, reason="spam")
    return report.case


def entries(*fields):
    return list(Entry.objects.exclude(action="change_role").order_by("pk").values_list(*fields))


def resolve(case, *measures, by, note="against the rules", **more):
    return cases.resolve_case(case_id=case.pk, measures=measures, note=note, by=by, **more)


def test_a_case_is_taken_by_one(case, mod, other_mod):
    cases.take_case(case_id=case.pk, by=mod)
    cases.take_case(case_id=case.pk, by=mod)
    with pytest.raises(CaseTaken, match="mod has taken"):
        cases.take_case(case_id=case.pk, by=other_mod)
    case.refresh_from_db()
    assert (case.state, case.assignee_id) == (State.IN_PROGRESS, mod.id)
    cases.release_case(case_id=case.pk, by=other_mod)
    cases.take_case(case_id=case.pk, by=other_mod)
    assert entries("action", "actor_name") == [
        ("case_taken", "mod"),
        ("case_released", "other"),
        ("case_taken", "other"),
    ]


def test_everything_at_once(case, group, ben, mod):
    until = timezone.now() + timedelta(days=7)
    done = resolve(case, *Measure, by=mod, until=until)
    assert (done.state, done.measures) == (State.RESOLVED, ["redact", "ban", "remove", "freeze"])
    user = User.objects.get(pk=ben.id)
    assert (user.is_active, user.banned_until) == (False, until)
    assert user.ban_reason == "against the rules"
    assert Chat.objects.get(pk=group).frozen_at
    assert not Membership.objects.filter(chat=group, user=ben.id, last_seq=None).exists()
    assert Redaction.objects.get().seq == 2
    assert redaction.carry_out() == 1
    assert Message.objects.get(chat=group, seq=2).kind == "removed"
    assert entries("action", "actor_name", "reason") == [
        (action, "mod", "against the rules")
        for action in ("redact", "ban", "remove_member", "freeze", "case_resolved")
    ]
    assert chain.verify().broken is None


def test_one_measure_that_is_refused_undoes_the_others(case, group, ben, mod):
    from rest_framework.exceptions import ValidationError

    with pytest.raises(ValidationError):
        resolve(case, Measure.REDACT, Measure.BAN, by=mod, until=timezone.now())
    assert Redaction.objects.count() == 0
    case.refresh_from_db()
    assert case.live
    assert entries("action") == []


def test_a_case_may_be_resolved_with_words_alone(case, mod):
    assert resolve(case, by=mod, note="talked to them").measures == []


def test_it_must_be_explained(case, mod):
    for act in (
        lambda: resolve(case, Measure.BAN, by=mod, note=" "),
        lambda: cases.dismiss_case(case_id=case.pk, note="", by=mod),
    ):
        with pytest.raises(ReasonMissing):
            act()
    case.refresh_from_db()
    assert case.live


def test_the_same_decision_again_is_the_same_and_another_is_refused(case, mod, other_mod):
    resolve(case, Measure.BAN, by=mod)
    count = Entry.objects.count()
    again = resolve(case, Measure.BAN, by=other_mod, note="mine")
    assert (again.closed_by_id, again.resolution) == (mod.id, "against the rules")
    with pytest.raises(CaseClosed, match="resolved by mod"):
        resolve(case, Measure.FREEZE, by=other_mod)
    with pytest.raises(CaseClosed):
        cases.dismiss_case(case_id=case.pk, note="no", by=other_mod)
    with pytest.raises(CaseClosed):
        cases.take_case(case_id=case.pk, by=other_mod)
    assert Entry.objects.count() == count


def test_two_who_click_at_once_do_it_once(case, ben, mod, other_mod):
    ended = []

    def click(by):
        try:
            resolve(case, Measure.BAN, Measure.REMOVE, by=by)
            ended.append("done")
        except CaseClosed:
            ended.append("told")
        connection.close()

    def dismiss(by):
        try:
            cases.dismiss_case(case_id=case.pk, note="no", by=by)
            ended.append("dismissed")
        except CaseClosed:
            ended.append("told")
        connection.close()

    threads = [threading.Thread(target=click, args=(by,)) for by in (mod, other_mod)]
    threads.append(threading.Thread(target=dismiss, args=(other_mod,)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) in (["done", "done", "told"], ["dismissed", "told", "told"])
    closings = Entry.objects.filter(action__in=["case_resolved", "case_dismissed"])
    assert closings.count() == 1


def test_a_user_s_case_takes_a_ban_and_nothing_about_messages(ann, ben, mod):
    report, _ = services.report_user(reporter_id=ann.id, user_id=ben.id, reason="other")
    assert cases.applicable(report.case) == [Measure.BAN]
    for measure in (Measure.REDACT, Measure.REMOVE, Measure.FREEZE):
        with pytest.raises(NotApplicable):
            resolve(report.case, measure, by=mod)
    resolve(report.case, Measure.BAN, by=mod)
    assert not User.objects.get(pk=ben.id).is_active


def test_a_private_message_s_case_knows_no_group(ann, ben, mod):
    ben.say(ann, "buy this")
    chat = Message.objects.get().chat_id
    report, _ = services.report_message(reporter_id=ann.id, chat_id=chat, seq=1, reason="spam")
    assert cases.applicable(Case.objects.get(pk=report.case.pk)) == [Measure.REDACT, Measure.BAN]


def test_nobody_decides_about_themself_or_even_sees_it(ann, mod):
    report, _ = services.report_user(reporter_id=ann.id, user_id=mod.id, reason="other")
    assert list(cases.cases_for(mod)) == []
    with pytest.raises(NotFound):
        cases.take_case(case_id=report.case.pk, by=mod)
    with pytest.raises(NotFound):
        cases.dismiss_case(case_id=report.case.pk, note="I am fine", by=mod)


def test_what_is_said_about_the_staff_is_decided_by_superusers(ann, mod, root):
    operator = staff("op", Role.OPERATOR)
    report, _ = services.report_user(reporter_id=ann.id, user_id=operator.pk, reason="other")
    for act in (
        lambda: resolve(report.case, Measure.BAN, by=mod),
        lambda: cases.dismiss_case(case_id=report.case.pk, note="no", by=mod),
    ):
        with pytest.raises(NotToThem):
            act()
    resolve(report.case, Measure.BAN, by=root)
    assert not User.objects.get(pk=operator.pk).is_active


def test_a_closed_case_is_opened_again_unless_there_is_a_newer(ann, ben, cid, mod):
    first, _ = services.report_user(reporter_id=ann.id, user_id=ben.id, reason="other")
    cases.dismiss_case(case_id=first.case.pk, note="no", by=mod)
    again = cases.reopen_case(case_id=first.case.pk, note="looked again", by=mod)
    assert (again.state, again.closed_at, again.closed_by) == (State.OPEN, None, None)
    cases.dismiss_case(case_id=first.case.pk, note="no", by=mod)
    services.report_user(reporter_id=cid.id, user_id=ben.id, reason="other")
    with pytest.raises(NotApplicable):
        cases.reopen_case(case_id=first.case.pk, note="x", by=mod)


def test_the_text_is_kept_while_the_case_is_live_and_a_while_after(case, mod, settings):
    settings.REPORT_TEXT_DAYS = 30
    assert cases.forget_texts() == 0
    resolve(case, Measure.REDACT, by=mod)
    redaction.carry_out()
    case.refresh_from_db()
    assert case.text == "buy this"
    assert timedelta(days=29) < case.text_until - timezone.now() <= timedelta(days=30)
    assert cases.forget_texts() == 0
    Case.objects.update(text_until=timezone.now())
    assert cases.forget_texts() == 1
    case.refresh_from_db()
    assert (case.text, case.text_until) == ("", None)


def test_the_context_is_what_was_said_around_it_and_reading_it_is_recorded(case, ann, ben, mod):
    for number in range(30):
        ann.tell(case.chat_id, f"later {number}")
    page = context.read_context(case=case, by=mod)
    assert [shown.seq for shown in page.messages] == list(range(1, 13))
    reported = page.messages[1]
    assert (reported.text, reported.sender, reported.sender_id) == ("buy this", "ben", ben.id)
    assert page.served_from in ("cache", "database")
    entry = Entry.objects.latest("pk")
    assert (entry.action, entry.actor_name, entry.target_id) == ("case_read", "mod", str(case.pk))
    assert entry.after == {"first": 1, "last": 12, "served_from": page.served_from}
    assert "later" not in str(entry.__dict__)


def test_looking_at_a_report_is_recorded_too_where_cold_storage_can_t_tell_the_rest(
    case, mod, settings
):
    settings.HOT_MESSAGES_PER_CHAT = settings.DB_MESSAGES_PER_CHAT = 1
    Message.objects.update(sent_at=F("sent_at") - timedelta(hours=3))
    Chat.objects.update(last_at=F("last_at") - timedelta(hours=3))
    assert backup()["ok"]
    assert trim()["ok"]
    for user in User.objects.exclude(pk=mod.id):
        assert erase_user(user_id=user.pk)["ok"]
    cache.execute("FLUSHDB")
    with pytest.raises(Unavailable):
        context.read_context(case=case, by=mod)
    entry = Entry.objects.latest("pk")
    assert (entry.action, entry.actor_name, entry.target_id) == ("case_read", "mod", str(case.pk))
    assert entry.after == {"first": None, "last": None, "served_from": ""}


def test_the_context_is_no_more_than_the_reporter_could_see(ann, ben, cid, mod):
    group = ann.group(ben)
    ann.tell(group, "before cid")
    ann.post("/add_user_to_group", group_id=str(group), user_id=str(cid.id))
    ben.tell(group, "spam")
    report, _ = services.report_message(reporter_id=cid.id, chat_id=group, seq=4, reason="spam")
    page = context.read_context(case=report.case, by=mod)
    assert [shown.seq for shown in page.messages] == [3, 4]


def test_what_there_was_before_is_told(case, ann, ben, cid, mod):
    ann.post("/block_user", user_id=str(ben.id))
    earlier, _ = services.report_user(reporter_id=cid.id, user_id=ben.id, reason="other")
    resolve(earlier.case, Measure.BAN, by=mod)
    assert [one.pk for one in context.other_cases(case)] == [earlier.case.pk]
    known = context.standing_of(case)
    assert [entry.action for entry in known.entries] == ["ban"]
    assert known.blocked_by == 1
