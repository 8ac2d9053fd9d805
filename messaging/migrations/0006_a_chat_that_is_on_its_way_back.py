from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"
SEND = (SQL / "send_0006.sql").read_text(encoding="utf-8")
SEND_BEFORE = (SQL / "send_0005.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0005_frozen_groups"),
    ]

    operations = [
        migrations.RunSQL(SEND, SEND_BEFORE),
    ]
