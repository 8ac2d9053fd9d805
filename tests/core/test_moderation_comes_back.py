"""What moderators did is in the backup: bans with their terms, frozen groups, the service's entries.

And what they do while a restore is under way takes no one's place.
"""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import User
from accounts.standing import ban_user
from archive import restore
from archive.backup import backup
from archive.tests.conftest import _empty  # noqa: F401 - what other tests have left in the bucket
from archive.tests.test_restoring import back, wipe
from archive.tests.world import command, date, every, told
from common.errors import NotFound
from groups.moderating import freeze_group, remove_member, unfreeze_group
from messaging.models import Chat, Membership, Message
from messaging.services import Returning
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_restore_brings_back_bans_freezes_and_what_the_service_wrote(transactional_db):
    ann, ben, cid = Person("ann"), Person("ben"), Person("cid")
    group = ann.group(ben, cid)
    remove_member(group_id=group, user_id=cid.id, reason="spam")
    freeze_group(group_id=group, reason="a raid")
    until = timezone.now() + timedelta(days=3)
    ban_user(user=ben.user, reason="spam", until=until)
    before = ann.client.get(f"/chats/{group}/messages/").json()["results"]
    frozen_at = Chat.objects.get(pk=group).frozen_at
    assert backup(now=True)["ok"]
    wipe()
    assert restore.restore()["ok"]
    banned = User.objects.get(pk=ben.id)
    assert (banned.is_active, banned.ban_reason, banned.banned_until) == (False, "spam", until)
    chat = Chat.objects.get(pk=group)
    assert (chat.frozen_at, chat.frozen_reason) == (frozen_at, "a raid")
    back(ann)
    assert ann.client.get(f"/chats/{group}/messages/").json()["results"] == before
    assert ann.post("/send_message_to_group", group_id=str(group), text="x").status_code == 403


@pytest.mark.parametrize("step", ["chats", "chat", "inside"])
def test_moderators_wait_for_a_group_that_is_not_back(step):
    ada, bob = Person("ada"), Person("bob")
    frozen, free = ada.group(bob), ada.group(bob)
    freeze_group(group_id=frozen, reason="a raid")
    for group_id in (frozen, free):
        date(group_id, every(7, Chat.objects.get(pk=group_id).last_seq))
    backup()
    before = {group_id: told(bob, group_id) for group_id in (frozen, free)}
    wipe()
    command("restore", "--all", ARCHIVE_DIE_AT=f"restore.{step}")
    # Nothing of them is there before the chats are committed, and of none but the first after it.
    refusal = NotFound if not Chat.objects.exists() else Returning
    with pytest.raises(refusal):
        freeze_group(group_id=free, reason="another")
    with pytest.raises(refusal):
        unfreeze_group(group_id=frozen, reason="over")
    with pytest.raises(refusal):
        remove_member(group_id=free, user_id=bob.id, reason="spam")
    assert restore.restore()["ok"]
    back(bob)
    assert {group_id: told(bob, group_id) for group_id in (frozen, free)} == before
    assert unfreeze_group(group_id=frozen, reason="over")
    assert remove_member(group_id=free, user_id=bob.id, reason="spam")


def test_the_admin_says_that_a_group_is_not_back(client):
    ada, bob = Person("ada"), Person("bob")
    group_id = ada.group(bob)
    date(group_id, every(7, 1))
    backup()
    Message.objects.all().delete()
    Membership.objects.all().delete()
    Chat.objects.update(last_seq=0)
    client.force_login(User.objects.create_superuser("root", "seven wild swans"))
    answer = client.post(
        f"/admin/groups/group/{group_id}/do/freeze/", {"reason": "a raid"}, follow=True
    )
    assert answer.status_code == 200
    assert "is being restored" in answer.content.decode()
    assert not Message.objects.exists()
