from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0009_keyed_digests_of_what_was_sent"),
    ]

    operations = [
        migrations.AddField(
            model_name="membership",
            name="left_owner_id",
            field=models.UUIDField(
                blank=True,
                editable=False,
                help_text="Who owned the group when this stretch ended, which is all that its user sees.",
                null=True,
            ),
        ),
    ]
