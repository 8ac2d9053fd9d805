"""Secrets that were shown and never confirmed go: from now on those stand in sessions alone."""

from typing import Any

from django.db import migrations


def delete_unconfirmed(apps: Any, schema_editor: Any) -> None:
    """Delete them; they opened nothing."""
    devices = apps.get_model("otp_totp", "TOTPDevice").objects.using(schema_editor.connection.alias)
    devices.filter(confirmed=False).delete()


class Migration(migrations.Migration):
    """Undone, it leaves things as they are: a new secret is shown to who asks."""

    dependencies = [
        ("accounts", "0003_find_bans_that_end"),
        ("otp_totp", "0003_add_timestamps"),
    ]

    operations = [migrations.RunPython(delete_unconfirmed, migrations.RunPython.noop)]
