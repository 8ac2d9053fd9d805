from pathlib import Path

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q

SQL = Path(__file__).parent / "sql"
DROP = "DROP FUNCTION messaging_send(uuid, uuid, uuid, uuid, text, text);\n"
SEND = DROP + (SQL / "send_0009.sql").read_text(encoding="utf-8")
SEND_BEFORE = DROP + (SQL / "send_0007.sql").read_text(encoding="utf-8")
# The function before takes a digest for a plain SHA-256, and null for one that it can't compare.
KEYED_BEFORE = "UPDATE messaging_trimmedsend SET digest = NULL WHERE key_id <> '' OR removed"


class Migration(migrations.Migration):
    # An index on a table that is written to is made beside the writing.
    atomic = False

    dependencies = [
        ("messaging", "0008_how_far_the_log_has_got"),
    ]

    operations = [
        # Defaults that are constants rewrite no row.
        migrations.AddField(
            model_name="trimmedsend",
            name="key_id",
            field=models.CharField(
                db_default="",
                default="",
                help_text="The archive key's whose HMAC the digest is; empty: a plain SHA-256.",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="trimmedsend",
            name="removed",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Whether the text is gone from all tiers.",
            ),
        ),
        migrations.AlterField(
            model_name="trimmedsend",
            name="digest",
            field=models.BinaryField(
                help_text="What tells its text from another; null where that is not known.",
                null=True,
            ),
        ),
        AddIndexConcurrently(
            model_name="trimmedsend",
            index=models.Index(
                condition=Q(("digest__isnull", False), ("key_id", "")),
                fields=["id"],
                name="a_digest_without_a_key",
            ),
        ),
        migrations.RunSQL(migrations.RunSQL.noop, KEYED_BEFORE),
        migrations.RunSQL(SEND, SEND_BEFORE),
    ]
