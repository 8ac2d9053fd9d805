from django.db import migrations


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("messaging", "0002_find_groups"),
    ]

    operations = [
        migrations.CreateModel(
            name="Group",
            fields=[],
            options={"proxy": True, "indexes": [], "constraints": []},
            bases=("messaging.chat",),
        ),
    ]
