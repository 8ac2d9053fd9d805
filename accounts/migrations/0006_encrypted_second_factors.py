"""Secrets of second factors no longer stand in plain in the database."""

import base64
import hmac
import os
from binascii import unhexlify
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import migrations

# As common.archive_key and common.encryption had it when this was written.


def _derived(key: str, purpose: str) -> bytes:
    extracted = hmac.digest(b"strata archive key", key.encode(), "sha256")
    return hmac.digest(extracted, purpose.encode() + b"\x01", "sha256")


def _id_of(key: str) -> str:
    return _derived(key, "id")[:4].hex()


def encrypt(apps: Any, schema_editor: Any) -> None:
    """Encrypt each that is not; the admin of an older release can't check codes from then on."""
    devices = apps.get_model("otp_totp", "TOTPDevice").objects.using(schema_editor.connection.alias)
    for device in devices.exclude(key__contains=":"):
        if not settings.ARCHIVE_KEY:
            raise RuntimeError("ARCHIVE_KEY is not set: second factors are encrypted with it.")
        ring_key = settings.ARCHIVE_KEY[0]
        nonce = os.urandom(12)
        cipher = AESGCM(_derived(ring_key, "accounts.second_factor"))
        sealed = nonce + cipher.encrypt(nonce, unhexlify(device.key), str(device.user_id).encode())
        text = base64.urlsafe_b64encode(sealed).decode().rstrip("=")
        devices.filter(pk=device.pk).update(key=f"{_id_of(ring_key)}:{text}")


def decrypt(apps: Any, schema_editor: Any) -> None:
    """Put them back as they were."""
    devices = apps.get_model("otp_totp", "TOTPDevice").objects.using(schema_editor.connection.alias)
    keys = {_id_of(key): key for key in settings.ARCHIVE_KEY}
    for device in devices.filter(key__contains=":"):
        key_id, _, text = device.key.partition(":")
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        cipher = AESGCM(_derived(keys[key_id], "accounts.second_factor"))
        plain = cipher.decrypt(raw[:12], raw[12:], str(device.user_id).encode())
        devices.filter(pk=device.pk).update(key=plain.hex())


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_sessions_of_users"),
        ("otp_totp", "0003_add_timestamps"),
    ]

    operations = [
        migrations.CreateModel(
            name="PhoneDevice",
            fields=[],
            options={"proxy": True, "indexes": [], "constraints": []},
            bases=("otp_totp.totpdevice",),
        ),
        migrations.RunPython(encrypt, decrypt),
    ]
