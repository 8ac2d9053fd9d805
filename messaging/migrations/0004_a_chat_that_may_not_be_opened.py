from pathlib import Path

from django.db import migrations

from messaging.sql import read_sql

SEND_BEFORE = (Path(__file__).parent / "sql" / "send_0003.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    """A send may say that it opens no chat. The same arguments: servers of before go on."""

    dependencies = [("messaging", "0003_what_leaves_the_database")]

    operations = [migrations.RunSQL(read_sql("send.sql"), SEND_BEFORE)]
