from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # Beside senders and a backup that is running.
    atomic = False

    dependencies = [
        ("archive", "0006_manifests"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="hourobject",
            index=models.Index(
                condition=models.Q(("generation__gt", 1)),
                fields=["id"],
                name="objects_written_again",
            ),
        ),
    ]
