"""A first message that is refused opens no chat, whenever the block came."""

import threading
import time

import psycopg
import pytest
from django.db import connection

from accounts import services as accounts
from messaging.models import Chat, Membership
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
_OPEN = """
INSERT INTO messaging_chat (id, kind, name, low_id, high_id, member_count)
VALUES (gen_random_uuid(), 'private', '', least(%(one)s, %(other)s), greatest(%(one)s, %(other)s), 2)
"""
_WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


def test_it_leaves_nothing_and_after_the_block_they_can_write():
    ada, bob = Person("ada"), Person("bob")
    answers = []
    settings = connection.settings_dict

    def write() -> None:
        answers.append(ada.post("/send_message", recipient_id=str(bob.id), text="hi"))
        connection.close()

    with psycopg.connect(
        host=settings["HOST"], port=settings["PORT"], user=settings["USER"],
        password=settings["PASSWORD"], dbname=settings["NAME"],
    ) as other:  # fmt: skip
        # Holds the send up where it has seen no block and opens the chat.
        other.execute(_OPEN, {"one": ada.id, "other": bob.id})
        send = threading.Thread(target=write)
        send.start()
        deadline = time.monotonic() + 30
        while not waiting() and time.monotonic() < deadline:
            pass
        accounts.block_user(blocker_id=bob.id, blocked_id=ada.id)
        other.rollback()
        send.join()
    assert answers[0].status_code == 403, answers[0].content
    assert answers[0].json()["errors"][0]["code"] == "blocked"
    assert not Chat.objects.exists()
    assert not Membership.objects.exists()
    assert ada.client.get("/chats/").json()["results"] == []
    accounts.unblock_user(blocker_id=bob.id, blocked_id=ada.id)
    assert ada.post("/send_message", recipient_id=str(bob.id), text="hi").status_code == 201


def waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_WAITS)
        return bool(cursor.fetchone()[0])
