"""A private chat is read with a recorded reason, for a while, each page recorded; or not at all."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.rights import NotYours
from archive.backup import backup
from archive.erase import erase_user
from archive.trim import trim
from audit.models import Entry
from common.cache import cache
from common.errors import NotFound
from messaging.models import Chat, Message
from moderation import glass, redaction
from moderation.errors import GlassWhole, ReasonMissing
from moderation.glass import break_glass, close_glass, read_chat
from moderation.models import BreakGlass
from moderation.roles import Role
from moderation.tests.conftest import actor, staff
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
WHY = "a threat to somebody's life"


@pytest.fixture
def chat(ann, ben):
    for number in range(3):
        ann.say(ben, f"secret {number}", client_id=f"c{number}")
    return Message.objects.earliest("pk").chat_id


def entries():
    found = Entry.objects.exclude(action="change_role").order_by("pk")
    return list(found.values_list("action", "actor_name", "reason"))


def test_without_it_nothing_is_read_by_anybody(chat, mod, root):
    for by in (mod, root):
        with pytest.raises(GlassWhole):
            read_chat(chat_id=chat, by=by)
    assert entries() == []


def test_with_it_each_page_is_read_and_recorded(chat, mod, monkeypatch):
    monkeypatch.setattr(glass, "PAGE", 2)
    opened = break_glass(chat_id=chat, reason=WHY, by=mod)
    assert timedelta(minutes=59) < opened.expires_at - timezone.now() <= timedelta(minutes=60)
    page = read_chat(chat_id=chat, by=mod)
    assert [shown.text for shown in page.messages] == ["secret 1", "secret 2"]
    assert page.older
    rest = read_chat(chat_id=chat, before=page.first, by=mod)
    assert [shown.text for shown in rest.messages] == ["secret 0"]
    assert not rest.older
    assert entries() == [
        ("break_glass", "mod", WHY),
        ("break_glass_read", "mod", WHY),
        ("break_glass_read", "mod", WHY),
    ]
    last = Entry.objects.latest("pk")
    assert last.after == {"first": 1, "last": 1, "served_from": rest.served_from}
    assert last.target_name == "ann and ben"
    assert "secret" not in str(list(Entry.objects.values()))
    assert BreakGlass.objects.get().pages_read == 2


def test_it_is_for_one_chat_and_one_moderator(chat, ann, cid, mod, other_mod):
    ann.say(cid, "another")
    other = Message.objects.latest("pk").chat_id
    break_glass(chat_id=chat, reason=WHY, by=mod)
    with pytest.raises(GlassWhole):
        read_chat(chat_id=other, by=mod)
    with pytest.raises(GlassWhole):
        read_chat(chat_id=chat, by=other_mod)


def test_it_ends_by_itself_and_by_hand(chat, mod):
    opened = break_glass(chat_id=chat, reason=WHY, by=mod)
    BreakGlass.objects.update(expires_at=timezone.now())
    with pytest.raises(GlassWhole):
        read_chat(chat_id=chat, by=mod)
    again = break_glass(chat_id=chat, reason=WHY, by=mod)
    assert again.pk != opened.pk
    assert break_glass(chat_id=chat, reason=WHY, by=mod).pk == again.pk
    assert close_glass(glass_id=again.pk, by=mod)
    assert not close_glass(glass_id=again.pk, by=mod)
    with pytest.raises(GlassWhole):
        read_chat(chat_id=chat, by=mod)
    assert [action for action, *_ in entries()] == [
        "break_glass",
        "break_glass",
        "break_glass_closed",
    ]


def test_another_s_can_not_be_closed(chat, mod, other_mod):
    opened = break_glass(chat_id=chat, reason=WHY, by=mod)
    with pytest.raises(NotFound):
        close_glass(glass_id=opened.pk, by=other_mod)


@pytest.mark.parametrize("reason", ["", "   ", "because  "])
def test_a_reason_is_needed(chat, mod, reason):
    with pytest.raises(ReasonMissing):
        break_glass(chat_id=chat, reason=reason, by=mod)
    assert entries() == []


def test_no_such_chat(mod):
    with pytest.raises(NotFound):
        break_glass(chat_id=uuid4(), reason=WHY, by=mod)
    with pytest.raises(NotFound):
        read_chat(chat_id=uuid4(), by=mod)


def test_the_staff_s_private_chats_are_opened_by_superusers_alone(ann, mod, root):
    boss = Person("boss")
    boss.user.is_staff = True
    boss.user.save()
    ann.say(boss, "hello")
    chat = Message.objects.get().chat_id
    with pytest.raises(GlassWhole):
        break_glass(chat_id=chat, reason=WHY, by=mod)
    assert break_glass(chat_id=chat, reason=WHY, by=root).open


def test_an_operator_reads_nothing(chat, ann, ben):
    operator = actor(staff("op", Role.OPERATOR))
    group = ann.group(ben)
    for act in (
        lambda: break_glass(chat_id=chat, reason=WHY, by=operator),
        lambda: read_chat(chat_id=chat, by=operator),
        lambda: read_chat(chat_id=group, by=operator),
    ):
        with pytest.raises(NotYours):
            act()


def test_a_group_is_read_by_moderators_and_that_is_recorded(ann, ben, mod):
    group = ann.group(ben)
    ann.tell(group, "to all")
    assert read_chat(chat_id=group, by=mod).messages[-1].text == "to all"
    assert [action for action, *_ in entries()] == ["chat_read"]


def test_every_tier_is_read_with_the_slowest_named_whoever_has_a_copy(
    chat, ann, ben, mod, settings
):
    from django.db.models import F

    settings.HOT_MESSAGES_PER_CHAT = settings.DB_MESSAGES_PER_CHAT = 1
    Message.objects.update(sent_at=F("sent_at") - timedelta(hours=3))
    Chat.objects.update(last_at=F("last_at") - timedelta(hours=3))
    assert backup()["ok"]
    assert trim()["ok"]
    cache.execute("FLUSHDB")
    break_glass(chat_id=chat, reason=WHY, by=mod)
    for gone in (None, ben, ann):
        if gone is not None:
            assert erase_user(user_id=gone.id)["ok"]
            cache.execute("FLUSHDB")
        if gone is ann:
            from common.errors import Unavailable

            with pytest.raises(Unavailable):
                read_chat(chat_id=chat, by=mod)
            continue
        page = read_chat(chat_id=chat, by=mod)
        assert [shown.text for shown in page.messages] == ["secret 0", "secret 1", "secret 2"]
        assert page.served_from == "archive"


def test_what_was_read_for_a_moderator_is_not_shown_to_others_otherwise(chat, ann, ben, mod):
    """The sender's client_id is the sender's, also after a moderator's page filled the cache."""
    break_glass(chat_id=chat, reason=WHY, by=mod)
    cache.execute("FLUSHDB")
    read_chat(chat_id=chat, by=mod)
    mine = ann.client.get(f"/chats/{chat}/messages/").json()["results"]
    theirs = ben.client.get(f"/chats/{chat}/messages/").json()["results"]
    assert [message["client_id"] for message in mine] == ["c0", "c1", "c2"]
    assert [message["client_id"] for message in theirs] == [None] * 3


def test_a_private_message_is_redacted_through_broken_glass_only(chat, mod):
    with pytest.raises(GlassWhole):
        redaction.redact_message(chat_id=chat, seq=1, reason="x", by=mod)
    break_glass(chat_id=chat, reason=WHY, by=mod)
    redaction.redact_message(chat_id=chat, seq=1, reason="x", by=mod)
    assert redaction.carry_out() == 1
    assert Message.objects.get(chat=chat, seq=1).text == ""
