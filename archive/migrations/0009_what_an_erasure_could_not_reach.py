from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("archive", "0008_what_is_missing"),
    ]

    operations = [
        migrations.AddField(
            model_name=name,
            name="unreached",
            field=models.TextField(
                db_default="",
                help_text="Keys of lost or damaged objects from which the text could not be taken.",
            ),
        )
        for name in ("erasure", "eraseduser")
    ]
