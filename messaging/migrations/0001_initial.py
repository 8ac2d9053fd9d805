from pathlib import Path

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import common.ids
import messaging.models

SQL = Path(__file__).parent / "sql"
FUNCTIONS = ("append_0001.sql", "send_0001.sql", "seq_after_0001.sql")
# A chat's row is rewritten with every message: room in its page keeps the update there (HOT), and
# vacuum comes by often, since the table is small and its dead rows many.
STORAGE = """
ALTER TABLE messaging_chat SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE messaging_logstate SET (fillfactor = 10);
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(
            "CREATE SEQUENCE messaging_chat_number", "DROP SEQUENCE messaging_chat_number"
        ),
        migrations.CreateModel(
            name="Chat",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "number",
                    models.BigIntegerField(
                        db_default=messaging.models.NextChatNumber(),
                        editable=False,
                        help_text="A short name for the chat inside cursors and cache keys.",
                        unique=True,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("private", "Private"), ("group", "Group")], max_length=7
                    ),
                ),
                ("name", models.CharField(blank=True, default="", max_length=128)),
                ("member_count", models.IntegerField(db_default=0)),
                (
                    "wide_from",
                    models.BigIntegerField(
                        blank=True,
                        help_text="The seq from which there are too many members to tell each of a message: since then their polls ask the chat. Null for a chat that has never had so many.",
                        null=True,
                    ),
                ),
                (
                    "start_seq",
                    models.BigIntegerField(
                        db_default=1, help_text="The smallest seq that any tier holds."
                    ),
                ),
                ("last_seq", models.BigIntegerField(db_default=0)),
                (
                    "last_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "high",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "low",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="LogState",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("epoch", models.IntegerField(db_default=1)),
                (
                    "floor",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="one_log_state")
                ],
            },
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[("owner", "Owner"), ("admin", "Admin"), ("member", "Member")],
                        default="member",
                        max_length=6,
                    ),
                ),
                (
                    "first_seq",
                    models.BigIntegerField(help_text="The seq at which the user joined."),
                ),
                (
                    "last_seq",
                    models.BigIntegerField(
                        blank=True,
                        help_text="The seq that removed the user; null for a member.",
                        null=True,
                    ),
                ),
                ("joined_at", models.DateTimeField()),
                ("left_at", models.DateTimeField(blank=True, null=True)),
                (
                    "chat",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to="messaging.chat",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        db_index=False,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("seq", models.BigIntegerField()),
                (
                    "kind",
                    models.CharField(
                        choices=[("text", "Text"), ("system", "System"), ("removed", "Removed")],
                        max_length=7,
                    ),
                ),
                ("text", models.TextField()),
                ("sent_at", models.DateTimeField()),
                ("client_id", models.CharField(max_length=64, null=True)),
                (
                    "chat",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="messages",
                        to="messaging.chat",
                    ),
                ),
                (
                    "sender",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "subject",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        help_text="The user whose membership this system message begins, ends or changes.",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="chat",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind", "private")),
                fields=("low", "high"),
                name="one_chat_per_pair",
            ),
        ),
        migrations.AddConstraint(
            model_name="chat",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("high", None), ("kind", "group"), ("low", None)),
                    models.Q(("kind", "private"), ("low__lt", models.F("high"))),
                    _connector="OR",
                ),
                name="a_private_chat_has_two_users",
            ),
        ),
        migrations.AddIndex(
            model_name="membership",
            index=models.Index(fields=["user", "chat"], name="memberships_of_a_user"),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.UniqueConstraint(
                condition=models.Q(("last_seq", None)),
                fields=("chat", "user"),
                include=("first_seq",),
                name="a_member_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.UniqueConstraint(
                condition=models.Q(("last_seq", None), ("role", "owner")),
                fields=("chat",),
                name="one_owner_per_chat",
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("last_seq", None), ("left_at", None)),
                    models.Q(("last_seq__gte", models.F("first_seq")), ("left_at__isnull", False)),
                    _connector="OR",
                ),
                name="a_stretch_ends_after_it_begins",
            ),
        ),
        migrations.AddConstraint(
            model_name="message",
            constraint=models.UniqueConstraint(fields=("chat", "seq"), name="a_seq_once_per_chat"),
        ),
        migrations.AddConstraint(
            model_name="message",
            constraint=models.UniqueConstraint(
                condition=models.Q(("client_id__isnull", False)),
                fields=("chat", "sender", "client_id"),
                name="a_client_id_once_per_sender",
            ),
        ),
        migrations.RunSQL(STORAGE, migrations.RunSQL.noop),
        migrations.RunSQL(
            [(SQL / name).read_text(encoding="utf-8") for name in FUNCTIONS],
            [
                "DROP FUNCTION messaging_send",
                "DROP FUNCTION messaging_append",
                "DROP FUNCTION messaging_seq_after",
            ],
        ),
    ]
