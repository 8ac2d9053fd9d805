from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"
SEND = (SQL / "send_0007.sql").read_text(encoding="utf-8")
SEND_BEFORE = (SQL / "send_0006.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0006_a_chat_that_is_on_its_way_back"),
    ]

    operations = [
        migrations.RunSQL(SEND, SEND_BEFORE),
    ]
