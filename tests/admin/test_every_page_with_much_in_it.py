"""No page counts or walks a large table, and none takes more than 20 queries, however much there is.

`make admin-scale` runs this with a million messages and 100,000 users, as PostgreSQL then plans; in
`make test` there are fewer, and PostgreSQL is told that walking a table is dear.
"""

import os

import psycopg
import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from messaging.models import Chat, Message
from tests.admin.pages import every_page

MESSAGES = int(os.environ.get("ADMIN_SCALE_MESSAGES", "20000"))
FULL = MESSAGES >= 1_000_000
USERS = MESSAGES // 10
CHATS = USERS // 5
MOST_QUERIES = 20
LARGE = (
    "messaging_message", "messaging_chat", "messaging_membership",
    "accounts_user", "accounts_token", "accounts_block",
)  # fmt: skip

FILL = """
INSERT INTO accounts_user (id, username, username_key, display_name, password, is_superuser,
                           is_staff, is_active)
SELECT gen_random_uuid(), 'u' || n, 'u' || n, 'User ' || n, '!', false, false, n %% 100 > 0
  FROM generate_series(1, %(users)s) n;
INSERT INTO accounts_token (digest, user_id)
SELECT sha256(id::text::bytea), id FROM accounts_user;
CREATE TEMP TABLE numbered AS SELECT row_number() OVER (ORDER BY username) AS n, id FROM accounts_user;
CREATE UNIQUE INDEX ON numbered (n);
INSERT INTO accounts_block (blocker_id, blocked_id)
SELECT one.id, other.id FROM numbered one JOIN numbered other ON other.n = one.n + 1;
INSERT INTO messaging_chat (id, kind, name, member_count, last_seq, last_at)
SELECT gen_random_uuid(), 'group', 'Group ' || n, 5, %(each)s, now() FROM generate_series(1, %(chats)s) n;
CREATE TEMP TABLE rooms AS SELECT row_number() OVER (ORDER BY name) AS n, id FROM messaging_chat;
CREATE UNIQUE INDEX ON rooms (n);
INSERT INTO messaging_membership (chat_id, user_id, role, first_seq, joined_at)
SELECT rooms.id, numbered.id, CASE k WHEN 0 THEN 'owner' ELSE 'member' END, 1, now()
  FROM rooms CROSS JOIN generate_series(0, 4) k JOIN numbered ON numbered.n = (rooms.n - 1) * 5 + k + 1;
INSERT INTO messaging_message (chat_id, seq, sender_id, kind, text, sent_at)
SELECT rooms.id, s, numbered.id, 'text', 'Message ' || s, now() - (%(each)s - s) * interval '1 minute'
  FROM rooms CROSS JOIN generate_series(1, %(each)s) s
  JOIN numbered ON numbered.n = (rooms.n - 1) * 5 + s %% 5 + 1;
ANALYZE accounts_user, accounts_token, accounts_block, messaging_chat, messaging_membership,
        messaging_message;
"""


@pytest.fixture
def much(transactional_db):
    # Over a connection of its own: the service's is not waited for so long.
    parameters = connection.get_connection_params()
    for ours in ("cursor_factory", "context"):
        parameters.pop(ours, None)
    parameters["options"] = "-c transaction_timeout=0"
    numbers = {"users": USERS, "chats": CHATS, "each": MESSAGES // CHATS}
    with psycopg.connect(**parameters) as own:
        for statement in FILL.split(";\n"):
            if statement.strip():
                own.execute(statement % numbers)
        number = own.execute("SELECT count(*) FROM messaging_message").fetchone()
    assert number == (MESSAGES,)


@pytest.fixture
def root(much):
    return User.objects.create_superuser("root", "seven wild swans")


def searches():
    """Return what people look for in each list."""
    chat = Chat.objects.order_by("-pk")[0]
    sender = Message.objects.filter(chat=chat).latest("pk").sender
    messages, users = "/admin/messaging/message/", "/admin/accounts/user/"
    return [
        f"{users}?q=u12", f"{users}?q={sender.pk}", f"{users}?is_active__exact=0",
        f"{users}?is_staff__exact=1", f"{users}?p=20", f"{users}?q=nobody-at-all",
        f"{messages}?q={chat.pk}", f"{messages}?q={sender.username}", f"{messages}?p=50",
        f"{messages}?q={chat.pk}+%237", f"{messages}?q={chat.pk}+2020-01-01",
        f"{messages}?q={chat.pk}+{sender.username}",
        f"/admin/messaging/chat/?q={sender.username}", f"/admin/messaging/chat/?q={chat.pk}",
        f"/admin/groups/group/?q={chat.name.replace(' ', '+')}",
        f"/admin/groups/group/{chat.pk}/change/?read=1",
        f"/admin/accounts/block/?q={sender.username}", "/admin/accounts/block/?p=9",
        f"/admin/accounts/token/?q={sender.username}", f"{users}{sender.pk}/change/",
        f"/admin/moderation/case/?q={sender.username}", f"/admin/audit/entry/?q={sender.username}",
    ]  # fmt: skip


@pytest.mark.timeout(1800)
def test_each_takes_few_queries_counts_nothing_and_walks_no_large_table(root):
    browser = Client()
    browser.force_login(root)
    faults = []
    for url in [*every_page(root), *searches()]:
        browser.get(url)
        with CaptureQueriesContext(connection) as captured:
            status = browser.get(url).status_code
        asked = [query["sql"] for query in captured]
        if status != 200 or len(asked) > MOST_QUERIES:
            faults.append(f"{url}: status {status}, {len(asked)} queries")
        for sql in asked:
            if not any(f'"{table}"' in sql for table in LARGE):
                continue
            if "COUNT(" in sql.upper() and "LIMIT" not in sql:
                faults.append(f"{url}: counts: {sql[:300]}")
            if sql.startswith("SELECT"):
                walked = walks(sql)
                if walked:
                    faults.append(f"{url}: {walked}: {sql[:300]}")
    assert not faults, "\n".join(faults)


def walks(sql):
    """Return which large tables a statement walks from end to end, as PostgreSQL would do it."""
    with transaction.atomic(), connection.cursor() as cursor:
        if not FULL:
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {sql}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    return [table for table in LARGE if f"Seq Scan on {table} " in plan]
