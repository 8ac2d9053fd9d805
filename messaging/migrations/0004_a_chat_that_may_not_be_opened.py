from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"
SEND = (SQL / "send_0004.sql").read_text(encoding="utf-8")
SEND_BEFORE = (SQL / "send_0003.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    """A send may say that it opens no chat. The same arguments: servers of before go on."""

    dependencies = [("messaging", "0003_what_leaves_the_database")]

    operations = [migrations.RunSQL(SEND, SEND_BEFORE)]
