import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0001_initial"),
        ("messaging", "0003_what_leaves_the_database"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="DrillRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "started_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "finished_at",
                    models.DateTimeField(
                        help_text="Empty while it runs, or when killed.", null=True
                    ),
                ),
                (
                    "ok",
                    models.BooleanField(
                        default=False, help_text="Whether all that came back was right."
                    ),
                ),
                (
                    "restored",
                    models.BigIntegerField(default=0, help_text="Messages that came back."),
                ),
                (
                    "differing",
                    models.BigIntegerField(
                        default=0, help_text="Messages that came back otherwise."
                    ),
                ),
                (
                    "lost",
                    models.BigIntegerField(
                        default=0, help_text="Messages that would not have come back."
                    ),
                ),
                (
                    "lost_seconds",
                    models.FloatField(default=0, help_text="How long ago the oldest of them is."),
                ),
                ("detail", models.TextField(blank=True, default="")),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="ErasedUser",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "asked_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("done_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="RetentionRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "started_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "finished_at",
                    models.DateTimeField(
                        help_text="Empty while it runs, or when killed.", null=True
                    ),
                ),
                ("days", models.IntegerField(help_text="How long objects were kept at the time.")),
                (
                    "before",
                    models.DateTimeField(help_text="Hours that had ended by then were due."),
                ),
                ("due", models.BigIntegerField(default=0, help_text="Objects.")),
                ("deleted", models.BigIntegerField(default=0, help_text="Objects.")),
                (
                    "kept",
                    models.BigIntegerField(
                        default=0, help_text="Objects that the index still knows."
                    ),
                ),
                ("freed", models.BigIntegerField(default=0, verbose_name="bytes freed")),
                ("oldest", models.DateTimeField(null=True, verbose_name="oldest hour remaining")),
                (
                    "failed",
                    models.IntegerField(
                        default=0, help_text="Chats that were left for the next run."
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Watermark",
            fields=[
                (
                    "chat",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="messaging.chat",
                    ),
                ),
                ("archived_seq", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Segment",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("hour", models.DateTimeField(help_text="The beginning of the hour, UTC.")),
                ("first_seq", models.BigIntegerField()),
                ("last_seq", models.BigIntegerField()),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                (
                    "verified_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        help_text="When all its objects were last read back and found right.",
                    ),
                ),
                (
                    "purged_at",
                    models.DateTimeField(
                        help_text="Set when its objects went at the end of retention while its messages are among the last of the chat, which the database keeps.",
                        null=True,
                    ),
                ),
                (
                    "chat",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="messaging.chat",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="HourObject",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("first_seq", models.BigIntegerField()),
                ("last_seq", models.BigIntegerField()),
                ("count", models.BigIntegerField()),
                ("size", models.BigIntegerField(help_text="Bytes in the bucket.")),
                ("sha256", models.BinaryField(help_text="Of the plain bytes.", max_length=32)),
                ("etag", models.CharField(max_length=128)),
                (
                    "next_sha256",
                    models.BinaryField(
                        help_text="What it is about to become, while a message is being erased from it.",
                        max_length=32,
                        null=True,
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "segment",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="objects_of_users",
                        to="archive.segment",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Erasure",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("seq", models.BigIntegerField()),
                (
                    "asked_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("done_at", models.DateTimeField(null=True)),
                (
                    "chat",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="messaging.chat",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("done_at__isnull", True)),
                        fields=["id"],
                        name="erasures_to_do",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("chat", "seq"), name="an_erasure_once")
                ],
            },
        ),
        migrations.AddIndex(
            model_name="segment",
            index=models.Index(fields=["hour"], name="segments_by_hour"),
        ),
        migrations.AddConstraint(
            model_name="segment",
            constraint=models.UniqueConstraint(
                fields=("chat", "hour"), name="a_segment_per_chat_and_hour"
            ),
        ),
        migrations.AddConstraint(
            model_name="segment",
            constraint=models.UniqueConstraint(
                fields=("chat", "first_seq"), include=("last_seq",), name="a_segment_begins_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="segment",
            constraint=models.CheckConstraint(
                condition=models.Q(("last_seq__gte", models.F("first_seq"))),
                name="a_segment_holds_something",
            ),
        ),
        migrations.AddConstraint(
            model_name="hourobject",
            constraint=models.UniqueConstraint(
                fields=("segment", "user"), name="an_object_per_user"
            ),
        ),
    ]
