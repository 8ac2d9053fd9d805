"""Browsers' sessions in a table that knows whose they are; those of before move there."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

MOVE = """
WITH moved AS (DELETE FROM django_session RETURNING session_key, session_data, expire_date)
INSERT INTO accounts_browsersession (session_key, session_data, expire_date)
SELECT session_key, session_data, expire_date FROM moved WHERE expire_date > now()
ON CONFLICT DO NOTHING
"""
MOVE_BACK = """
INSERT INTO django_session (session_key, session_data, expire_date)
SELECT session_key, session_data, expire_date FROM accounts_browsersession
ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    """Whose an old session is, is known once it is saved again, so nobody has to log in anew.

    Web servers of the version before go on with the old table: who logs in there while this runs
    logs in once more.
    """

    dependencies = [
        ("accounts", "0004_delete_unconfirmed_factors"),
        ("sessions", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="BrowserSession",
            fields=[
                (
                    "session_key",
                    models.CharField(
                        max_length=40, primary_key=True, serialize=False, verbose_name="session key"
                    ),
                ),
                ("session_data", models.TextField(verbose_name="session data")),
                ("expire_date", models.DateTimeField(db_index=True, verbose_name="expire date")),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sessions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "session",
                "verbose_name_plural": "sessions",
            },
        ),
        migrations.AddIndex(
            model_name="browsersession",
            index=models.Index(
                condition=models.Q(("user__isnull", False)),
                fields=["user", "-expire_date"],
                name="accounts_session_user",
            ),
        ),
        migrations.RunSQL(MOVE, MOVE_BACK),
    ]
