from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # The index is built beside what goes on.
    atomic = False

    dependencies = [
        ("accounts", "0002_bans_that_end"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="user",
            index=models.Index(
                condition=models.Q(("banned_until__isnull", False)),
                fields=["banned_until"],
                name="accounts_user_ban_ends",
            ),
        ),
    ]
