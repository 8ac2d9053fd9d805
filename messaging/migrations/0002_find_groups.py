from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # Concurrently, so that no send has to wait, which a transaction does not allow.
    atomic = False

    dependencies = [
        ("messaging", "0001_initial"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="chat",
            index=models.Index(
                condition=models.Q(("kind", "group")), fields=["-id"], name="groups_newest_first"
            ),
        ),
        AddIndexConcurrently(
            model_name="chat",
            index=models.Index(
                condition=models.Q(("kind", "group")), fields=["name"], name="groups_by_name"
            ),
        ),
    ]
