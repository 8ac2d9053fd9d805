from pathlib import Path

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

SQL = Path(__file__).parent / "sql"
SEND = (SQL / "send_0003.sql").read_text(encoding="utf-8")
SEND_BEFORE = (SQL / "send_0001.sql").read_text(encoding="utf-8")
# Rows leave by the thousand each hour: vacuum makes their room usable before it is needed.
STORAGE = """
ALTER TABLE messaging_message SET (autovacuum_vacuum_scale_factor = 0.02,
                                   autovacuum_vacuum_threshold = 1000);
"""
STORAGE_BEFORE = """
ALTER TABLE messaging_message RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0002_find_groups"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        # A default that is a constant rewrites no row.
        migrations.AddField(
            model_name="chat",
            name="db_seq",
            field=models.BigIntegerField(
                db_default=1,
                help_text="The first seq still in the database: all from it on are there, none below.",
            ),
        ),
        migrations.CreateModel(
            name="TrimmedSend",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("seq", models.BigIntegerField()),
                ("client_id", models.CharField(max_length=64)),
                ("sent_at", models.DateTimeField()),
                (
                    "digest",
                    models.BinaryField(
                        help_text="The SHA-256 of the text; null once it has been removed.",
                        null=True,
                    ),
                ),
                (
                    "chat",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
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
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("chat", "sender", "client_id"), name="a_trimmed_client_id_once"
                    ),
                    models.UniqueConstraint(fields=("chat", "seq"), name="a_trimmed_seq_once"),
                ],
            },
        ),
        migrations.RunSQL(SEND, SEND_BEFORE),
        migrations.RunSQL(STORAGE, STORAGE_BEFORE),
    ]
