from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import User
from accounts.tests.factories import make_user
from messaging.models import Chat, Message


@pytest.fixture
def people(db):
    return make_user("ada"), make_user("ben")


@pytest.fixture
def chat(people):
    return Chat.objects.create(kind="group", name="Circle", member_count=2)


@pytest.fixture
def write(chat):
    """Write messages of a sender, so long ago."""

    def write(sender, *, ago=timedelta(minutes=1), number=1, kind="text"):
        sent_at = timezone.now() - ago
        first = chat.last_seq + 1
        chat.last_seq += number
        Message.objects.bulk_create(
            Message(chat=chat, seq=seq, sender=sender, kind=kind, text="x", sent_at=sent_at)
            for seq in range(first, first + number)
        )
        return sent_at

    return write


@pytest.fixture
def browser(client, db):
    client.force_login(User.objects.create_superuser("root", "seven wild swans"))
    return client
