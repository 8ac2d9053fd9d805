from pathlib import Path

from django.db import migrations

from messaging.sql import read_sql

SEND_BEFORE = (Path(__file__).parent / "sql" / "send_0006.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0006_a_chat_that_is_on_its_way_back"),
    ]

    operations = [
        migrations.RunSQL(read_sql("send.sql"), SEND_BEFORE),
    ]
