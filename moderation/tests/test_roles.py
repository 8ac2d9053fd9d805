"""Who may do what: each role and each action, as a table. Each is tried through the service that does it."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db.models import F

from accounts import services as accounts
from accounts.models import Block, Token, User
from accounts.rights import NotToThem, NotYours
from accounts.tests.factories import make_token, make_user
from archive.backup import backup
from archive.trim import trim
from audit.models import Entry
from common.cache import cache
from common.errors import NotFound
from groups import moderating
from messaging.models import Chat, Message
from moderation import cases, context, services
from moderation.access import erase_account, grant_role, roles_of, take_role
from moderation.glass import break_glass, read_chat
from moderation.models import Case, Measure, Redaction
from moderation.redaction import redact_message
from moderation.roles import RIGHTS, Role, sync_roles
from moderation.tests.conftest import actor, staff
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
WHY = "a reason that is long enough"


class World:
    """Somebody, a group and a private chat of theirs, a case about them."""

    def __init__(self) -> None:
        self.ann, self.ben = Person("ann"), Person("ben")
        self.group = self.ann.group(self.ben)
        self.ben.tell(self.group, "in the group")
        self.ben.say(self.ann, "in private")
        self.private = Message.objects.latest("pk").chat_id
        Block.objects.create(blocker=self.ann.user, blocked=self.ben.user)
        report, _ = services.report_message(
            reporter_id=self.ann.id, chat_id=self.group, seq=2, reason="spam"
        )
        self.case = report.case.pk

    @property
    def user(self) -> User:
        return User.objects.get(pk=self.ben.id)


ACTIONS = {
    "ban": lambda w, by: accounts.ban_user(user=w.user, reason="x", by=by),
    "unban": lambda w, by: accounts.unban_user(user=w.user, by=by),
    "revoke tokens": lambda w, by: accounts.revoke_tokens(user=w.user, by=by),
    "revoke a token": lambda w, by: accounts.revoke_token(
        token_id=Token.objects.filter(user=w.user).latest("pk").pk, by=by
    ),
    "reset a password": lambda w, by: accounts.reset_password(
        user=w.user, password="eleven white swans", by=by
    ),
    "lift a block": lambda w, by: accounts.lift_block(
        block=Block.objects.get(blocked=w.user), by=by
    ),
    "erase a user": lambda w, by: erase_account(user=w.user, reason="x", by=by),
    "grant a role": lambda w, by: grant_role(user=w.user, role=Role.MODERATOR, by=by),
    "freeze a group": lambda w, by: moderating.freeze_group(group_id=w.group, reason="x", by=by),
    "unfreeze a group": lambda w, by: moderating.unfreeze_group(
        group_id=w.group, reason="x", by=by
    ),
    "remove a member": lambda w, by: moderating.remove_member(
        group_id=w.group, user_id=w.ben.id, reason="x", by=by
    ),
    "redact": lambda w, by: redact_message(chat_id=w.group, seq=2, reason="x", by=by),
    "see the queue": lambda w, by: cases.cases_for(by).get(pk=w.case),
    "read a case": lambda w, by: context.read_context(case=Case.objects.get(pk=w.case), by=by),
    "take a case": lambda w, by: cases.take_case(case_id=w.case, by=by),
    "resolve a case": lambda w, by: cases.resolve_case(
        case_id=w.case, measures=[Measure.BAN], note="x", by=by
    ),
    "dismiss a case": lambda w, by: cases.dismiss_case(case_id=w.case, note="x", by=by),
    "break glass": lambda w, by: break_glass(chat_id=w.private, reason=WHY, by=by),
    "read a group": lambda w, by: read_chat(chat_id=w.group, by=by),
}
ALL = set(ACTIONS)
OF_SUPERUSERS = {"reset a password", "erase a user", "grant a role"}
MAY = {
    "nobody": set(),
    "staff without a role": set(),
    "operator": set(),
    "moderator": ALL - OF_SUPERUSERS,
    "both": ALL - OF_SUPERUSERS,
    "superuser": ALL,
    "banned superuser": set(),
}


def somebody(role: str):
    if role == "superuser":
        return actor(User.objects.create_superuser("root"))
    if role == "banned superuser":
        return actor(accounts.ban_user(user=User.objects.create_superuser("root")))
    if role == "nobody":
        return actor(make_user("plain"))
    if role == "staff without a role":
        return actor(make_user("clerk", is_staff=True))
    roles = [Role.MODERATOR, Role.OPERATOR] if role == "both" else [Role(role)]
    return actor(staff("somebody", *roles))


@pytest.mark.parametrize("role", MAY)
@pytest.mark.parametrize("action", ACTIONS)
def test_role_and_action(transactional_db, role, action):
    world, by = World(), somebody(role)
    before = Entry.objects.count()
    if action in MAY[role]:
        ACTIONS[action](world, by)
    else:
        with pytest.raises(NotYours):
            ACTIONS[action](world, by)
        assert Entry.objects.count() == before


OF_PEOPLE = [
    *("ban", "unban", "revoke tokens", "revoke a token", "reset a password", "redact"),
    *("lift a block", "remove a member"),
]


@pytest.mark.parametrize("above", ["superuser", "operator", "moderator"])
@pytest.mark.parametrize("action", [*OF_PEOPLE, "resolve a case", "dismiss a case"])
def test_a_moderator_touches_nobody_of_the_staff(transactional_db, above, action):
    world, by = World(), somebody("moderator")
    grant_role(user=world.user, role=Role(above))
    with pytest.raises((NotToThem, NotYours)):
        ACTIONS[action](world, by)


def test_nor_what_they_or_the_moderator_wrote_long_ago(transactional_db, settings):
    """A text that only cold storage holds any more is as much of somebody as any other."""
    settings.HOT_MESSAGES_PER_CHAT = settings.DB_MESSAGES_PER_CHAT = 1
    world, by = World(), somebody("moderator")
    Message.objects.update(sent_at=F("sent_at") - timedelta(hours=3))
    Chat.objects.update(last_at=F("last_at") - timedelta(hours=3))
    world.ann.tell(world.group, "and more")
    Message.objects.filter(text="and more").update(sent_at=F("sent_at") - timedelta(hours=2))
    assert backup()["ok"]
    assert trim()["ok"]
    cache.execute("FLUSHDB")
    assert not Message.objects.filter(chat=world.group, seq=2).exists()
    grant_role(user=world.user, role=Role.OPERATOR)
    with pytest.raises(NotToThem):
        redact_message(chat_id=world.group, seq=2, reason="x", by=by)
    with pytest.raises(NotFound):
        redact_message(chat_id=world.group, seq=1, reason="x", by=by)
    itself = actor(staff_of(world.user))
    with pytest.raises(NotToThem):
        redact_message(chat_id=world.group, seq=2, reason="x", by=itself)
    assert not Redaction.objects.exists()
    assert redact_message(chat_id=world.group, seq=2, reason="x", by=somebody("superuser")).pk


def staff_of(user: User) -> User:
    grant_role(user=user, role=Role.MODERATOR)
    return user


@pytest.mark.parametrize("action", ["ban", "revoke tokens", "reset a password", "grant a role"])
def test_a_superuser_touches_the_staff_and_not_themself(transactional_db, action):
    world, by = World(), somebody("superuser")
    grant_role(user=world.user, role=Role.OPERATOR)
    ACTIONS[action](world, by)
    world.ben.id = by.id
    with pytest.raises(NotToThem):
        ACTIONS[action](world, by)


def test_nobody_lifts_a_block_against_themself(transactional_db):
    """A user who blocks a moderator is left alone by that moderator."""
    for by in (somebody("moderator"), somebody("superuser")):
        block = Block.objects.create(blocker=make_user(), blocked=by.user)
        with pytest.raises(NotToThem):
            accounts.lift_block(block=block, by=by)
    assert Block.objects.count() == 2
    assert not Entry.objects.filter(action="lift_block").exists()


def test_rights_end_with_the_role(transactional_db):
    user = staff("mod", Role.MODERATOR)
    by = actor(user)
    cases.cases_for(by)
    take_role(user=user, role=Role.MODERATOR)
    with pytest.raises(NotYours):
        cases.cases_for(actor(user))
    user.refresh_from_db()
    assert not user.is_staff


def test_a_role_given_is_recorded_once(transactional_db, root):
    user = make_user("ada")
    assert grant_role(user=user, role=Role.MODERATOR, reason="knows us all", by=root)
    assert not grant_role(user=user, role=Role.MODERATOR, by=root)
    entry = Entry.objects.get()
    assert (entry.action, entry.actor_name, entry.target_name) == ("change_role", "root", "ada")
    assert (entry.reason, entry.before, entry.after) == (
        "knows us all",
        {"roles": []},
        {"roles": ["moderator"]},
    )


def test_the_command_gives_and_takes(transactional_db, capsys):
    make_user("ada")
    call_command("grant", "ADA", "--role", "moderator")
    call_command("grant", "ada", "--role", "operator")
    assert "ada: moderator, operator" in capsys.readouterr().out
    call_command("grant", "ada", "--role", "moderator", "--revoke")
    user = User.objects.get()
    assert (roles_of(user), user.is_staff) == (["operator"], True)
    call_command("grant", "ada", "--role", "operator", "--revoke")
    user.refresh_from_db()
    assert (roles_of(user), user.is_staff) == ([], False)
    with pytest.raises(SystemExit) as ended:
        call_command("grant", "nobody", "--role", "moderator")
    assert ended.value.code == 1
    assert set(Entry.objects.values_list("actor_kind", flat=True)) == {"command"}


def test_the_roles_are_there_with_their_rights_and_come_back(transactional_db):
    def rights():
        return {
            group.name: {
                f"{app}.{name}"
                for app, name in group.permissions.values_list(
                    "content_type__app_label", "codename"
                )
            }
            for group in Group.objects.all()
        }

    wanted = {role.value: set(names) for role, names in RIGHTS.items()}
    assert rights() == wanted
    Group.objects.get(name="moderator").permissions.clear()
    Group.objects.get(name="operator").delete()
    sync_roles()
    assert rights() == wanted


def test_no_role_reads_all_messages_or_sets_passwords():
    for rights in RIGHTS.values():
        assert "messaging.view_message" not in rights
        assert "accounts.reset_password" not in rights


def test_a_token_of_the_moderator_s_opens_no_admin(transactional_db, client):
    user = staff("mod", Role.MODERATOR)
    answer = client.get("/admin/", HTTP_AUTHORIZATION=f"Bearer {make_token(user)}")
    assert answer.status_code == 302
