"""What moderators did is in the backup: bans with their terms, frozen groups, the service's entries."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import User
from accounts.standing import ban_user
from archive import restore
from archive.backup import backup
from archive.tests.test_restoring import back, wipe
from groups.moderating import freeze_group, remove_member
from messaging.models import Chat
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
